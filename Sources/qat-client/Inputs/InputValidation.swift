internal import ArgumentParser
internal import JobInputs
internal import JobSpecs
internal import ModelFiles

/// Whether the worker will take a job's inputs, found out before anything is sent.
struct InputValidation {
    /// What the submitter should know, a line each.
    let remarks: [String]
    /// Those of them that the table of the exports does not show.
    let remarksBesideTable: [String]
    /// The job's exports, resolved; empty while its model is not at hand.
    let exports: ExportTable

    /// Checks the inputs that are at hand; those that the gateway holds are the worker's to check.
    ///
    /// `file`: The job file, for messages.
    ///
    /// - Throws: ``ClientError`` (`usage`) with a line for each thing that is wrong.
    init(_ plan: SubmissionPlan, file: String) throws {
        let paths = plan.inputs.compactMap { input in
            input.localPath.map { (input.pointer, $0) }
        }
        let inputs = JobInputs(
            plan.spec,
            paths: Dictionary(paths) { first, _ in first },
            version: QatClient.configuration.version,
            readsValues: true
        )
        guard inputs.problems.isEmpty else {
            throw ClientError(.usage, inputs.problems.map { "\(file): \($0)" })
        }
        exports = ExportTable(exports: inputs.exports)
        remarks = plan.notes + (inputs.remarks + inputs.exportRemarks).map(\.description)
        let exportPaths = Set(inputs.exports.map(\.path))
        remarksBesideTable =
            plan.notes
            + inputs.remarks.filter { !exportPaths.contains($0.path) }.map(\.description)
    }
}

extension PlannedInput {
    /// The file, the folder, or what the files of a corpus begin with; nil of what the gateway holds.
    var localPath: String? {
        guard let file = files.first?.path else { return nil }
        guard source == "folder" else { return file }
        // A corpus has no folder of its own.
        return root ?? String(file.dropLast(IndexedCorpus.suffixes[0].count))
    }
}
