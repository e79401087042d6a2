/// The frame of every page: one file that needs no network and no other file, reads in light and dark, on paper
/// and without scripts, and is well-formed XML as well.
struct HTMLPage {
    /// What kind of page it is; markup.
    var kind: String
    /// The heading; any text.
    var title: String
    /// What is between heading and end, as markup.
    var sections: [String]
    /// A script; none by default.
    var script = ""

    /// The page, in UTF-8.
    func html() -> String {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8"/>
        <meta name="viewport" content="width=device-width, initial-scale=1"/>
        <meta name="color-scheme" content="light dark"/>
        <meta http-equiv="Content-Security-Policy" content="\(Self.policy)"/>
        <title>\(HTMLText.escaped(title))</title>
        <style>\(ReportStyle.layout)\(ReportColors.style)\(ReportStyle.media)</style>
        </head>
        <body>
        <main>
        <header>
        <p class="kind">\(kind)</p>
        <h1>\(HTMLText.escaped(title))</h1>
        </header>
        \(sections.joined(separator: "\n"))
        </main>
        \(script.isEmpty ? "" : "<script>\(script)</script>")
        </body>
        </html>

        """
    }

    // Nothing is ever loaded, whatever a browser finds on the page.
    private static let policy =
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
}
