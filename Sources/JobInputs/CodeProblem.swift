internal import Foundation
internal import JobSpecs
public import ModelFiles

/// A function to complete, and what tells whether it does what it should; a line of HumanEval.jsonl.
///
/// - SeeAlso: Chen et al. 2021, "Evaluating Large Language Models Trained on Code", arXiv:2107.03374.
public struct CodeProblem: Sendable, Equatable {
    /// Its name, as `HumanEval/0`.
    public let id: String
    /// The program's beginning: what the model goes on from.
    public let prompt: String
    /// The function that is tested.
    public let entryPoint: String
    /// An end of the program that passes.
    public let solution: String
    /// A program that defines `check(candidate)`.
    public let test: String

    /// Bytes of a file at most: problems are held in memory.
    private static let byteLimit = 1 << 28

    /// Reads problems, those with the first `limit` lines or all; empty lines are skipped.
    ///
    /// - Throws: ``ModelFileError`` (`malformed`), naming the line and what is wrong with it; (`tooShort`) without a problem.
    public static func read(path: String, limit: Int? = nil) throws(ModelFileError) -> [Self] {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        let data: Data
        do {
            data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
        } catch {
            throw ModelFileError(.inputOutput, "\(name): \(error.localizedDescription)")
        }
        guard data.count <= byteLimit else {
            throw ModelFileError(
                .unsupported,
                "\(name) has \(data.count) bytes; problems of at most \(byteLimit) are read"
            )
        }
        guard !data.starts(with: [0x1F, 0x8B]) else {
            throw ModelFileError(.malformed, "\(name) is packed; unpack it first: gunzip \(name)")
        }
        var problems: [Self] = []
        var known = Set<String>()
        let lines = data.split(separator: 0x0A, omittingEmptySubsequences: false)
        for (index, line) in lines.enumerated() where problems.count < limit ?? .max {
            guard line.contains(where: { !" \t\r".utf8.contains($0) }) else { continue }
            let problem = try Self(Array(line), place: "\(name): line \(index + 1)")
            guard known.insert(problem.id).inserted else {
                throw ModelFileError(
                    .malformed,
                    "\(name): line \(index + 1): task_id \(problem.id) is there already"
                )
            }
            problems.append(problem)
        }
        guard !problems.isEmpty else {
            throw ModelFileError(.tooShort, "\(name) holds no problem")
        }
        return problems
    }

    /// Keys that problems of another kind have: HumanEval's layout has none of them.
    private static let otherKeys = ["test_list", "code", "question", "choices"]

    private init(_ line: [UInt8], place: String) throws(ModelFileError) {
        let value: JSONValue
        do {
            value = try JSONParser.parse(line).value
        } catch {
            throw ModelFileError(.malformed, "\(place): \(error)")
        }
        func text(_ key: String) throws(ModelFileError) -> String {
            if let text = value[key]?.stringValue { return text }
            let other = Self.otherKeys.first { value[$0] != nil }
            let advice = other.map { "; \($0) is of another layout" } ?? ""
            throw ModelFileError(
                .malformed,
                "\(place): a text \(key) is needed, as HumanEval.jsonl has it\(advice)"
            )
        }
        id = try text("task_id")
        prompt = try text("prompt")
        entryPoint = try text("entry_point")
        solution = try text("canonical_solution")
        test = try text("test")
        guard Self.isName(entryPoint) else {
            throw ModelFileError(
                .malformed,
                "\(place): entry_point is \(entryPoint.debugDescription), no name of a function"
            )
        }
    }

    private static func isName(_ text: String) -> Bool {
        !text.isEmpty && !(text.first?.isNumber ?? true)
            && text.allSatisfy { $0 == "_" || $0.isLetter || $0.isNumber }
    }
}
