internal import Foundation
internal import Testing

@testable internal import ModelFiles

/// Normal forms against `tokenizers`: Hangul in every state of composition, marks old and new, singletons.
struct NormalFormsTests {
    private struct Forms: Decodable {
        let texts: [String]
        let NFC: [String]
        let NFD: [String]
        let NFKC: [String]
        let NFKD: [String]
    }

    @Test func formsAreTheLibrarys() throws {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let forms = try JSONDecoder().decode(
            Forms.self,
            from: Data(contentsOf: folder.appending(path: "normal_forms.json"))
        )
        let steps: [(NormalizerStep, [String])] = [
            (.canonicalComposition, forms.NFC), (.canonicalDecomposition, forms.NFD),
            (.compatibilityComposition, forms.NFKC), (.compatibilityDecomposition, forms.NFKD),
        ]
        #expect(forms.texts.count == 800)
        for (step, expected) in steps {
            for (text, form) in zip(forms.texts, expected) {
                let found = step.apply(Array(text.unicodeScalars)).map(\.value)
                // Swift's == would take canonically equivalent texts for equal.
                #expect(
                    found == form.unicodeScalars.map(\.value),
                    "\(step) of \(text.debugDescription)"
                )
            }
        }
    }

    /// Oniguruma's `\w` has ² ³ ¹ ¼ ½ ¾ outside of brackets only; by `tokenizers` 0.23.3.
    @Test(arguments: [
        (#"\w"#, "²¹½"), (#"[\w]"#, ""), (#"[^\w\s]"#, "²¹½"), (#"\W"#, ""), (#"[^\W]"#, ""),
        (#"[\W]"#, "²¹½"),
    ])
    func wordsWithinBracketsAreOthers(pattern: String, matched: String) throws {
        let expression = try SplitExpression(pattern, place: "test")
        var found: [Unicode.Scalar] = []
        Array("²¹½".unicodeScalars).withUnsafeBufferPointer { text in
            expression.forEachMatch(in: text) { found += text[$0] }
        }
        #expect(found == Array(matched.unicodeScalars))
    }
}
