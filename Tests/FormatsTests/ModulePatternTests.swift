internal import Formats
internal import Foundation
internal import Testing

@Suite struct ModulePatternTests {
    @Test(arguments: [
        ("*", "", true), ("*", "abc", true), ("a?c", "abc", true), ("a?c", "ac", false),
        ("*mlp*", "model.layers.3.mlp.up_proj", true), ("mlp*", "model.mlp", false),
        ("*a*b*c", "xxaxxbxxc", true), ("*a*b*c", "xxbxxaxxc", false), ("", "", true),
        ("a", "ab", false), ("a.c", "abc", false), ("[a]", "a", false), ("**", "x", true),
        ("re:a+", "aaa", true), ("re:a+", "baaa", false), ("re:a|ab", "ab", true),
        ("re:(a*)*", "aaa", true), ("re:a$|b", "ab", false), ("re:", "", true), ("re:", "a", false),
        ("re:.*layers\\.(0|29)\\..*", "model.layers.29.mlp.up_proj", true),
        ("re:.*layers\\.(0|29)\\..*", "model.layers.2.mlp.up_proj", false),
    ])
    func patternsMatchWholeNames(pattern: String, name: String, isMatch: Bool) throws {
        // Each was checked with Python 3's fnmatch.fnmatchcase (brackets apart) and re.fullmatch.
        #expect(try ModulePattern(parsing: pattern).matches(name) == isMatch)
    }

    @Test(arguments: ["re:(", "re:*", "re:(?=a)", "re:\\b", "re:(a{100}){100}"])
    func brokenExpressionsAreRefusedByName(pattern: String) {
        let error = #expect(throws: FormatError.self) { try ModulePattern(parsing: pattern) }
        #expect(error?.code == .invalidPattern)
        #expect(error?.message.contains("\"\(pattern)\"") == true)
    }

    @Test func aGlobTakesNoExpression() {
        let text = "re:a+"
        #expect(ModulePattern(text).matches("re:a+"))
        #expect(!ModulePattern(text).matches("aa"))
    }

    @Test func patternsSurviveJSON() throws {
        let rule = QuantizationRecipe.Rule(pattern: "re:.*mlp.*", format: .mxfp8)
        let bytes = try JSONEncoder().encode(rule)
        #expect(try JSONDecoder().decode(QuantizationRecipe.Rule.self, from: bytes) == rule)
        let broken = Data(#"{"pattern": "re:("}"#.utf8)
        #expect(throws: FormatError.self) {
            try JSONDecoder().decode(QuantizationRecipe.Rule.self, from: broken)
        }
    }

    /// A backtracking matcher would take 2^40 steps and more.
    @Test(arguments: ["*a*a*a*a*a*a*a*a*a*a*b", "re:(a|a)*(a|a)*(a|a)*b", "re:(a*)*(a*)*(a*)*b"])
    func hostilePatternsTakeLinearTime(pattern: String) throws {
        let name = String(repeating: "a", count: 4000)
        #expect(try !ModulePattern(parsing: pattern).matches(name))
    }
}
