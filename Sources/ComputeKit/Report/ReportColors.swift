/// The page's colours, light and dark.
enum ReportColors {
    /// Colours: Okabe and Ito's, moved until each has a contrast of 3 on its background.
    static let style = """

        :root { color-scheme: light dark; --page: #f6f7f9; --card: #ffffff; --ink: #1a1d21;
          --quiet: #57606c; --line: #dde1e6; --grid: #e7eaee; --axis: #a4acb6; --hover: #edf0f4;
          --accent: #0067a5; --alert: #9a3b00; --alert-page: #fff6ec; --alert-line: #e9bd8d;
          --c0: #0067a5; --c1: #c75000; --c2: #00916a; --c3: #3f4650; --c4: #9a7000;
          --c5: #2f86c1; --c6: #a8447f; }
        \(shades(light, inkAt: 4))
        @media screen and (prefers-color-scheme: dark) {
        :root { --page: #12151a; --card: #1a1e25; --ink: #e6e9ee; --quiet: #a3acb8;
          --line: #2d333d; --grid: #2a303a; --axis: #5d6774; --hover: #20252d; --accent: #6cb8ee;
          --alert: #ffb877; --alert-page: #2c2116; --alert-line: #6b4a24;
          --c0: #56b4e9; --c1: #ff8b3d; --c2: #2cc295; --c3: #e3e6eb; --c4: #e3be3c;
          --c5: #7fb2ff; --c6: #e88bbb; }
        \(shades(dark, inkAt: 4))
        }

        """

    private static let light = [
        "#e1ecf7", "#c6dbf0", "#a3c6e5", "#77a9d6", "#3c79b4", "#2c6ba8", "#1b4f86", "#0f3560",
    ]
    private static let dark = [
        "#1b3350", "#234469", "#2b5584", "#356a9f", "#6ea6d8", "#8fbde4", "#b0d2ee", "#d3e6f7",
    ]

    /// Rules for a map's cells, b0 with the fewest bits to b7, and for the texts t0 to t7 on them.
    private static func shades(_ colors: [String], inkAt change: Int) -> String {
        let isDark = colors == dark
        return colors.enumerated().map { place, color in
            let ink = (place < change) != isDark ? "#12171d" : "#ffffff"
            return ".b\(place) { fill: \(color); } svg .t\(place) { fill: \(ink); }"
        }.joined(separator: "\n")
    }
}
