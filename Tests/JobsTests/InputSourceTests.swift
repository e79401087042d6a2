internal import Jobs
internal import Testing

/// docs/PROTOCOL.md, Input: one text means one thing to all who read it.
struct InputSourceTests {
    private static let digits = String(repeating: "0aF9", count: 16)

    /// Seen: digits in capitals were taken by every check of the client and refused by the gateway.
    @Test func theDigitsOfADigestAreTheSameInCapitals() {
        let small = InputSource("sha256:" + Self.digits.lowercased())
        #expect(InputSource("sha256:" + Self.digits) == small)
        #expect(InputSource("sha256:" + Self.digits.uppercased()) == small)
        #expect(small == .digest(Self.digits.lowercased()))
    }

    @Test(
        arguments: [
            ("job:a", .job(id: "a", output: "model")), ("job:a/b/c", .job(id: "a", output: "b/c")),
            ("job:A/Report.json", .job(id: "A", output: "Report.json")),
            // Names nobody makes, for the gateway to refuse by what they are.
            ("job:a/", .job(id: "a", output: "")), ("job:a//b", .job(id: "a", output: "/b")),
            ("job:", .local("job:")), ("job:/x", .local("job:/x")), ("m.gguf", .local("m.gguf")),
            ("SHA256:00", .local("SHA256:00")), ("", .local("")),
        ] as [(String, InputSource)]
    )
    func readsEachForm(text: String, source: InputSource) {
        #expect(InputSource(text) == source)
    }
}
