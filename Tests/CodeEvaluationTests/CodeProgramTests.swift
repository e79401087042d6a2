internal import Foundation
internal import JobInputs
internal import Testing

@testable internal import EvalService
@testable internal import Sandbox

/// Programs put together, run, and judged.
@Suite(.serialized) struct CodeProgramTests {
    private static let line = """
        {"task_id": "T/0", "prompt": "def f(x):\\n    \\"\\"\\"One more.\\"\\"\\"\\n", \
        "entry_point": "f", "canonical_solution": "    return x + 1\\n", \
        "test": "def check(candidate):\\n    assert candidate(1) == 2\\n    assert candidate(-1) == 0\\n"}
        """

    private func problem() throws -> CodeProblem {
        let path = NSTemporaryDirectory() + "/qat-problem-" + UUID().uuidString
        try Data(Self.line.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try #require(try CodeProblem.read(path: path).first)
    }

    private func verdicts(_ completions: [String]) throws -> [CodeProgram.Verdict] {
        let interpreter = try PythonInterpreter(path: "/usr/bin/python3")
        let sandbox = Sandbox(
            interpreter,
            support: try SandboxSupport(of: interpreter),
            limits: SandboxLimits(processorSeconds: 1, wallSeconds: 60)
        )
        return try CodeRunner(sandbox: sandbox, width: 2).run(problem(), completions)
            .map(\.verdict)
    }

    /// As `until` of the harness (0.4.9.1, humaneval.yaml).
    @Test func completionsEndAtTheTopLevel() {
        #expect(Set(CodeProgram.stops) == ["\nclass", "\ndef", "\n#", "\nif", "\nprint"])
    }

    @Test func rightProgramsPass() throws {
        let right = [
            "    return x + 1\n",
            // Whatever it prints, and whatever it does with its streams.
            "    print('x' * 100000)\n    return x + 1\n",
            "    import sys\n    print('no end', end='')\n    return x + 1\n",
            "    import sys\n    sys.stdout = None\n    sys.stderr = None\n    return x + 1\n",
            // A main program is none of a text that is executed.
            "    return x + 1\n\nif __name__ == '__main__':\n    raise SystemExit(1)\n",
            // Any character of a program.
            "    s = \"\\\"\\\\\\n\\t\\x00\" + 'ä\u{1F600}\u{2028}\u{7F}\t'\n    return x + len(s) - 9\n",
            "    return x + 1  # \r\n",
        ]
        for (completion, verdict) in zip(right, try verdicts(right)) {
            #expect(verdict == .init(isPassed: true, words: "passed"), "\(completion)")
        }
    }

    @Test func wrongProgramsDoNot() throws {
        let wrong = [
            ("    return x\n", "failed: AssertionError"),
            ("    return y\n", "failed: NameError: name 'y' is not defined"),
            ("    return x +\n", "failed: SyntaxError"),
            ("    while True: pass\n", "timed out"),
            // An end before the tests are through is none.
            ("    raise SystemExit(0)\n", "failed: exited with status 0"),
            ("    import os\n    os._exit(0)\n", "failed: exited with status 0"),
            ("    return x + 1\n\nexit(0)\n", "failed: exited with status 0"),
            ("    while True: print('x' * 1000)\n", "failed: wrote too much"),
            (
                "    import os\n    os.kill(os.getpid(), 11)\n    import ctypes\n    ctypes.string_at(0)\n",
                "failed: ended by signal 11"
            ),
            ("    x = [0] * 10**10\n", "failed: MemoryError"),
            ("    import socket\n    socket.socket()\n", "failed: PermissionError"),
            ("    return int(input())\n", "failed: EOFError"),
        ]
        for ((completion, words), verdict) in zip(wrong, try verdicts(wrong.map(\.0))) {
            #expect(!verdict.isPassed, "\(completion)")
            #expect(verdict.words.hasPrefix(words), "\(completion): \(verdict.words)")
        }
    }
}
