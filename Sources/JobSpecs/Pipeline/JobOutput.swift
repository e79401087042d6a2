internal import Jobs

/// A place where outputs of a job may lie, and what lies there.
public struct JobOutput: Sendable, Hashable {
    /// What an output is.
    public enum Kind: Sendable, CaseIterable {
        /// A folder with a model: GGUF or Hugging Face's form.
        case model
        /// A file that tells of the results.
        case report
        /// A folder with the records of a training, or of single questions.
        case records
    }

    /// The file or the folder, relative.
    public let path: String
    /// What it is.
    public let kind: Kind

    /// Whether it is, or holds, an output.
    func holds(_ output: String) -> Bool { output == path || output.hasPrefix(path + "/") }

    /// Why it, or a file in it, is nothing for a place in a job file; nil if it may be.
    ///
    /// What a file in a folder is shows when it is there.
    private func fault(of output: String, as role: InputReference.Role) -> String? {
        let isWhole = output == path
        switch (role, kind) {
        case (.model, .model): return nil
        case (.model, .report): return "is a report, no model"
        case (.model, .records): return "holds records, no model"
        case (.text, .model): return isWhole ? "is a folder with a model, no text" : nil
        case (.text, .report): return nil
        case (.text, .records): return isWhole ? "is a folder, no text" : nil
        case (.corpus, .model), (.corpus, .report), (.corpus, .records):
            return "is no corpus, and no job makes one"
        }
    }

    /// Why one of a job's outputs is nothing for a place in a job file, with those of them that are; nil if it
    /// may be, or if the job promises none of that name.
    public static func fault(
        of output: String,
        as role: InputReference.Role,
        among outputs: [JobOutput]
    ) -> String? {
        guard let found = outputs.first(where: { $0.holds(output) }),
            let fault = found.fault(of: output, as: role)
        else { return nil }
        let fitting = outputs.filter { $0.fault(of: $0.path, as: role) == nil }.map(\.path)
        let advice =
            switch role {
            case .corpus: "write the common prefix of .bin and .idx"
            case .model, .text:
                fitting.isEmpty
                    ? "the job makes no \(role.rawValue)"
                    : "expected \(fitting.joined(separator: " or "))"
            }
        return "\(PlainText.quoted(output)) \(fault); \(advice)"
    }
}

extension JobSpec {
    /// Where the job's outputs may lie, each with what it is.
    public var typedOutputs: [JobOutput] {
        switch self {
        case .quantize(let spec): Self.models(ExportGroup(spec.exports).outputs) + Self.reports
        case .train(let spec):
            Self.models(spec.exportGroups.flatMap(\.outputs)) + Self.reports
                + [JobOutput(path: "run", kind: .records)]
        case .evaluate(let spec):
            ["json", "html", "md", "csv", "tex"].map {
                JobOutput(path: "report." + $0, kind: .report)
            } + (spec.hasSamples ? [JobOutput(path: "samples", kind: .records)] : [])
        case .serve: [JobOutput(path: "report.json", kind: .report)]
        }
    }

    /// Where the job's outputs may lie: files, and folders that hold some.
    public var outputs: [String] { typedOutputs.map(\.path) }

    private static let reports = ["report.json", "report.html"].map {
        JobOutput(path: $0, kind: .report)
    }

    private static func models(_ folders: [String]) -> [JobOutput] {
        folders.map { JobOutput(path: $0, kind: .model) }
    }
}
