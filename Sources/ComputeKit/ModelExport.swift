public import Formats
internal import Foundation
internal import JobInputs
public import JobSpecs
internal import Jobs
public import ModelFiles
public import Quantization
internal import ServiceKit
public import Transformer

/// Writes a job's model, in one or several forms at once, to its output folder.
///
/// An export that fails costs only itself: it is removed, the others are written on, and
/// ``Outcome/failures`` names it.
///
/// Not for concurrent use.
public final class ModelExport {
    /// What came of the formats that were asked for.
    public struct Outcome: Sendable {
        /// The form of the first folder that was written, `model/` if nothing failed.
        public var layout: ExportLayout
        /// The format that the folders are in, of a job for several; nil of one.
        public var precision: String?
        /// Every folder that was written with its form, as `gguf in model-gguf/`.
        public var written: [String]
        /// Bytes of the tensors in it.
        public var tensorByteCount: Int
        /// What was asked for and not done, and what was done instead.
        public var warnings: [String]
        /// The exports that the job must have and that failed, with the reason.
        public var failures: [String]

        /// `planned` without the announcement of exports whose fate ``warnings`` tell, and these.
        public func warnings(after planned: [String]) -> [String] {
            announced(in: planned) + warnings
        }

        /// `planned` without the announcement of exports whose fate ``warnings`` tell.
        public func announced(in planned: [String]) -> [String] {
            let names = ExportLayout.allCases.map { PlannedExport.name($0, precision) }
            let told = names.filter { name in
                warnings.contains { $0.hasPrefix("export \(name) was left out: ") }
            }
            return planned.filter { line in
                !told.contains { line.contains(": \($0) will be left out: ") }
            }
        }

        /// Fails the job if an export did that it must have; to be called when all else is written.
        ///
        /// - Throws: `ComputeFailure` (`exportFailed`).
        public func requireAll() throws { try Self.require(none: failures) }

        /// The same of exports in several formats.
        ///
        /// - Throws: `ComputeFailure` (`exportFailed`).
        public static func require(none failures: [String]) throws {
            guard !failures.isEmpty else { return }
            throw ComputeFailure(
                .exportFailed,
                failures.joined(separator: "; ")
                    + "; the others are stored, and \"qat-client retry\" exports again"
            )
        }
    }

    private struct Target {
        let layout: ExportLayout
        let folder: String
        let isRequired: Bool
        let writer: any ModelWriter
    }

    private let base: String
    private let precision: String?
    private var targets: [Target] = []
    private var warnings: [String] = []
    private var failures: [String] = []

    /// The first folder that is written, `model/` if nothing failed.
    public var folder: String { targets.first?.folder ?? base }

    /// Begins the model in each of a group's exports: the first that holds it in the group's folder, another
    /// one in a folder beside that, named by its form.
    ///
    /// If none holds it and all may be skipped, the quantized values themselves are written: in BF16
    /// where that is exact for all of them, else in FP32.
    ///
    /// - Throws: `ComputeFailure` (`exportFailed`) if nothing can be written.
    public init(
        _ description: ExportDescription,
        _ group: ExportGroup,
        outputFolder: String
    ) throws {
        base = "\(outputFolder)/\(group.folder)"
        precision = group.precision
        var isFirst = true
        for export in group.elements.map(\.options) {
            let layout = export.format
            let folder = isFirst ? base : ExportGroup.folder(layout, beside: base)
            let isRequired = export.onObstacle == .fail
            do {
                let writer = try ModelWriters.writer(of: description, as: layout, folder: folder)
                targets.append(
                    Target(layout: layout, folder: folder, isRequired: isRequired, writer: writer)
                )
                warn(of: description, layout)
                isFirst = false
            } catch let error as ModelFileError where error.code == .unsupported {
                note(error, layout, isRequired: isRequired)
            } catch {
                note(error, layout, isRequired: isRequired)
                try? FileManager.default.removeItem(atPath: folder)
                isFirst = false
            }
        }
        if targets.isEmpty, failures.isEmpty {
            let layout = ExportLayout.exact(for: description.formats.values)
            warnings.append(PlannedExport.replacement(by: layout, in: group.folder))
            let writer = try ModelWriters.writer(of: description, as: layout, folder: base)
            targets.append(
                Target(layout: layout, folder: base, isRequired: true, writer: writer)
            )
            warn(of: description, layout)
        }
        try requireOne()
    }

    /// Says what an export holds otherwise than it was asked for, or leaves out.
    private func warn(of description: ExportDescription, _ layout: ExportLayout) {
        let remarks = ExportPlan(layout, of: description).substitutions
        warnings += PlannedExport.warnings(remarks).map { "export \(name(layout)): \($0)" }
    }

    private func name(_ layout: ExportLayout) -> String { PlannedExport.name(layout, precision) }

    /// Remembers why an export is not written.
    private func note(_ error: any Error, _ layout: ExportLayout, isRequired: Bool) {
        let name = name(layout)
        let reason = (error as? ModelFileError)?.message ?? "\(error)"
        let label = layout.rawValue + ": "
        let text = reason.hasPrefix(label) ? String(reason.dropFirst(label.count)) : reason
        if isRequired {
            failures.append("export \(name) failed: \(text)")
        } else {
            warnings.append("export \(name) was left out: \(text)")
        }
    }

    private func requireOne() throws {
        guard targets.isEmpty else { return }
        let reasons = failures.isEmpty ? warnings : failures
        throw ComputeFailure(
            .exportFailed,
            reasons.joined(separator: "; ") + "; \"qat-client retry\" exports again"
        )
    }

    /// Does something with every export; those that throw are removed.
    private func forEach<Result>(_ work: (any ModelWriter) throws -> Result) throws -> [Result] {
        var results: [Result] = []
        var left: [Target] = []
        for target in targets {
            do {
                results.append(try work(target.writer))
                left.append(target)
            } catch {
                note(error, target.layout, isRequired: target.isRequired)
                try? FileManager.default.removeItem(atPath: target.folder)
            }
        }
        targets = left
        try requireOne()
        return results
    }

    /// Writes one parameter; each of the layout once, in its order.
    ///
    /// - Throws: `ComputeFailure` (`exportFailed`) if no export is left.
    public func write(
        _ entry: ParameterLayout.Entry,
        values: UnsafeBufferPointer<Float>,
        packed: PackedTensor?
    ) throws {
        _ = try forEach { try $0.write(entry, values: values, packed: packed) }
    }

    /// Writes some rows of a parameter that is not quantized; see `ModelWriter`.
    ///
    /// - Throws: `ComputeFailure` (`exportFailed`) if no export is left.
    public func write(
        _ entry: ParameterLayout.Entry,
        rows: Range<Int>,
        values: UnsafeBufferPointer<Float>
    ) throws {
        _ = try forEach { try $0.write(entry, rows: rows, values: values) }
    }

    /// Writes all of a model in memory.
    ///
    /// `onEntry`: Told before each parameter how many are written, and of how many.
    ///
    /// - Throws: `ComputeFailure` (`exportFailed`) if no export is left, and what `onEntry` throws.
    public func write(
        _ parameters: Parameters,
        stored: [String: PackedTensor],
        onEntry: (Int, Int) throws -> Void = { _, _ in }
    ) throws {
        try write(LayerResidence(whole: parameters), stored: stored, onEntry: onEntry)
    }

    /// Writes all of a model, matrix by matrix.
    ///
    /// - Throws: `ComputeFailure` (`exportFailed`) if no export is left, and what reading throws.
    public func write(
        _ model: LayerResidence,
        stored: [String: PackedTensor],
        onEntry: (Int, Int) throws -> Void = { _, _ in }
    ) throws {
        let entries = model.parameters.layout.entries
        for (index, entry) in entries.enumerated() {
            try onEntry(index, entries.count)
            try model.with(entry) { values in
                try write(
                    entry,
                    values: UnsafeBufferPointer(values),
                    packed: stored[entry.name]
                )
            }
        }
    }

    /// How the completed ``folder`` says that inputs, keys and values are rounded.
    ///
    /// - Throws: `ModelFileError`.
    public func activations() throws -> ActivationQuantization {
        try ModelLoader.open(path: folder).activations.complete()
    }

    /// Completes the files.
    ///
    /// - Throws: `ComputeFailure` (`exportFailed`) if none could be completed.
    public func finish() throws -> Outcome {
        let summaries = try forEach { try $0.finish() }
        for (target, summary) in zip(targets, summaries) {
            // The plan has said most of them.
            warnings += summary.notes.map { "export \(name(target.layout)): \($0)" }
                .filter { !warnings.contains($0) }
        }
        return Outcome(
            layout: targets[0].layout,
            precision: precision,
            written: targets.map { target in
                let name = target.folder.split(separator: "/").last.map(String.init) ?? ""
                return "\(target.layout.rawValue) in \(name)/"
            },
            tensorByteCount: summaries[0].tensorByteCount,
            warnings: warnings,
            failures: failures
        )
    }
}
