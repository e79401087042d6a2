internal import Testing

@testable internal import ModelFiles

struct ModuleNamesTests {
    private static let name = "model.layers.12.self_attn.q_proj"

    @Test(arguments: [
        (".*q_proj", true), (".*q_proj$", true), (".*\\.q_proj$", true), ("model", true),
        ("^model\\.layers\\.[0-9]+\\.self_attn", true), ("layers", false), (".*q_pro$", false),
        (".*layers\\.(?:11|12|13)\\.", true), (".*layers\\.(1[3-9]|2\\d)\\.", false),
        (".*\\.(q|k|v)_proj", true), (".*[^a-z]q_", true), (".*layers\\.\\d{2}\\.self", true),
        (".*layers\\.\\d{3,5}\\.", false), (".*layers\\.\\d{1,3}\\.s", true), ("", true),
        ("(model|x)?\\.?layers", true), (".+?self_\\w+\\.q_proj", true), ("(a*)*b", false),
        ("(.*)(.*)(.*)(.*)(.*)(.*)(.*)(.*)z$", false), ("(|model)\\.layers", true),
    ])
    func expressionsMatchAsPythonDoes(expression: String, isMatch: Bool) throws {
        // Each was checked with Python 3.11's re.match.
        #expect(try #require(ModuleExpression(expression)).matches(Self.name) == isMatch)
    }

    @Test(arguments: [
        "(", ")", "a)", "[", "[a", "[]x]", "*", "a**", "(?=a)", "(?!a)", "(?i)a", "\\", "\\b",
        "\\1", "a{",
        "a{2", "a{3,2}", "a{9999}", "[z-a]", "((a{100}){100}){100}",
        String(repeating: "(", count: 1000) + String(repeating: ")", count: 1000),
        String(repeating: "a", count: 1001),
    ])
    func refusesWhatItDoesNotRead(expression: String) {
        #expect(ModuleExpression(expression) == nil)
    }

    @Test func nameBeatsPatternBeatsClass() throws {
        let name = Self.name
        let names = try ModuleNames(["Linear", "re:.*q_proj", name], .expressions, place: "x")
        #expect(names.match(name) == .exact)
        #expect(names.match("model.layers.1.self_attn.q_proj") == .pattern)
        #expect(names.match("lm_head") == .kind && names.match("model.embed_tokens") == nil)
        let globs = try ModuleNames(["model.layers.12.self_attn", "*mlp*"], .globs, place: "x")
        #expect(globs.match(name) == .pattern && globs.match("model.layers.1.mlp.up") == .pattern)
        #expect(globs.match("model.layers.1.self_attn.q_proj") == nil)
        #expect(throws: ModelFileError.self) {
            try ModuleNames(["re:("], .expressions, place: "x")
        }
        #expect(throws: ModelFileError.self) {
            try ModuleNames((0..<300).map { "\($0)*" }, .globs, place: "x")
        }
    }
}
