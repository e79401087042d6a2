internal import Foundation
internal import JobSpecs
internal import Kernels
internal import ModelFiles

/// Checkpoints on this machine: what is wrong with them, and how far they are from their source.
struct ArtifactsInspection {
    /// What the checkpoints' linter and the comparison found.
    private(set) var findings: [LintFinding] = []
    /// Comparisons with the source; empty without one.
    private(set) var tensors: [TensorComparison] = []

    /// Checkpoints that were checked.
    private let count: Int
    private let isCompared: Bool

    /// Whether nothing is an error.
    var isIntact: Bool { !findings.contains { $0.severity == .error } }

    /// Lints a folder or a GGUF file, and compares it with `source` unless that is nil.
    ///
    /// - Throws: ``ClientError`` (`usage`) if the source cannot be opened.
    init(path: String, source: String?) throws {
        isCompared = source != nil
        if let source {
            do {
                _ = try ModelLoader.open(path: source)
            } catch {
                throw ClientError(.usage, "--source: \(error)")
            }
        }
        let checkpoints = Self.checkpoints(path)
        count = checkpoints.count
        for checkpoint in checkpoints {
            findings += CheckpointLint.lint(path: checkpoint.path).map {
                LintFinding(
                    severity: $0.severity,
                    place: checkpoint.prefix + $0.place,
                    message: $0.message
                )
            }
            if let source { compare(checkpoint, with: source) }
        }
    }

    /// The folder itself, or the model and its further exports in the download of a job.
    static func checkpoints(_ path: String) -> [(prefix: String, path: String)] {
        let files = FileManager.default
        let isModel = ["config.json", "model.gguf"].contains {
            files.fileExists(atPath: "\(path)/\($0)")
        }
        var isFolder: ObjCBool = false
        guard !isModel,
            files.fileExists(atPath: path + "/model", isDirectory: &isFolder), isFolder.boolValue
        else { return [("", path)] }
        let names = (try? files.contentsOfDirectory(atPath: path)) ?? []
        return names.sorted().compactMap { name in
            var isFolder: ObjCBool = false
            guard name == "model" || name.hasPrefix("model-"),
                files.fileExists(atPath: "\(path)/\(name)", isDirectory: &isFolder),
                isFolder.boolValue
            else { return nil }
            return (name + "/", "\(path)/\(name)")
        }
    }

    private mutating func compare(
        _ checkpoint: (prefix: String, path: String),
        with source: String
    ) {
        let isWatched = Console.showsNotesOnTerminal
        defer { if isWatched { Console.overwriteNote("") } }
        do {
            let found = try CheckpointComparison.compare(
                path: checkpoint.path,
                source: source,
                team: ThreadTeam(threadCount: ProcessInfo.processInfo.activeProcessorCount)
            ) { if isWatched { Console.overwriteNote("compared \(checkpoint.prefix)\($0.name)") } }
            for tensor in found {
                let named = TensorComparison(
                    name: checkpoint.prefix + tensor.name,
                    verdict: tensor.verdict,
                    maximumDifference: tensor.maximumDifference,
                    sqnrDecibels: tensor.sqnrDecibels,
                    message: tensor.message
                )
                tensors.append(named)
                if named.verdict == .differs { report(named.name, named.message) }
            }
        } catch {
            report(checkpoint.prefix.isEmpty ? checkpoint.path : checkpoint.prefix, "\(error)")
        }
    }

    private mutating func report(_ place: String, _ message: String) {
        findings.append(LintFinding(severity: .error, place: place, message: message))
    }
}

extension ArtifactsInspection {
    /// Findings, then counts per verdict and the parameters with the most noise.
    func lines() -> [String] {
        var lines: [String] = []
        if !findings.isEmpty {
            var table = TextTable(["SEVERITY", "PLACE", "FINDING"])
            for finding in findings {
                table.append([finding.severity.rawValue, finding.place, finding.message])
            }
            lines += [table.rendered(), ""]
        }
        let errors = findings.filter { $0.severity == .error }.count
        lines.append(
            "checkpoints: \(count), errors: \(errors), warnings: \(findings.count - errors)"
        )
        guard isCompared, !tensors.isEmpty else { return lines }
        let counts = TensorComparison.Verdict.allCases.map { verdict in
            "\(tensors.filter { $0.verdict == verdict }.count) \(verdict.rawValue)"
        }
        var table = TextTable(["TENSOR", "VERDICT", "SQNR DB", "MAX DIFFERENCE"])
        for tensor in worst(5) {
            table.append([
                tensor.name, tensor.verdict.rawValue,
                tensor.sqnrDecibels.map { Quantities.decimals($0, 1) } ?? "-",
                tensor.maximumDifference.map { Quantities.significant(Double($0)) } ?? "-",
            ])
        }
        return lines + ["\(tensors.count) tensors: \(counts.joined(separator: ", "))"]
            + (worst(1).isEmpty ? [] : ["", table.rendered()])
    }

    /// The inexact parameters with the most noise; those without counterpart first.
    private func worst(_ count: Int) -> [TensorComparison] {
        func rank(_ tensor: TensorComparison) -> Double {
            guard let sqnr = tensor.sqnrDecibels, !sqnr.isNaN else { return -.infinity }
            return sqnr
        }
        let inexact = tensors.filter { $0.verdict != .exact }
        return Array(inexact.sorted { rank($0) < rank($1) }.prefix(count))
    }

    /// The same for programs; numbers that are not finite are null.
    var json: JSONValue {
        func number(_ value: Double?) -> JSONValue {
            value.flatMap { $0.isFinite ? .number($0) : nil } ?? .null
        }
        return .object([
            "intact": .boolean(isIntact),
            "findings": .array(
                findings.map {
                    .object([
                        "severity": .string($0.severity.rawValue), "place": .string($0.place),
                        "message": .string($0.message),
                    ])
                }
            ),
            "tensors": .array(
                tensors.map {
                    .object([
                        "name": .string($0.name), "verdict": .string($0.verdict.rawValue),
                        "sqnr_db": number($0.sqnrDecibels),
                        "max_difference": number($0.maximumDifference.map(Double.init)),
                    ])
                }
            ),
        ])
    }
}
