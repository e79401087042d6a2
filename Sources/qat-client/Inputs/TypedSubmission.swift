internal import Foundation
internal import JobSpecs
internal import Protocol

/// What a file is submitted as: what it says, what of it was typed, and what became of the same before.
///
/// Names and `latest` mean another job the next time, so the same is what was typed; and whoever submits it again
/// after its answer was lost submits what the words meant then.
struct TypedSubmission<Plan: PlannedSubmission> {
    /// The file with ids in the places of words.
    let references: JobReferences
    let plan: Plan
    /// Of what was typed, and of the content of the files that it names.
    let digest: String
    /// The same under the key, or without a reply.
    let before: SubmitJournal.Intent?

    /// Plans a file.
    ///
    /// - Throws: What planning throws, and ``JobReferences``.
    init(
        _ typed: JobFile,
        _ words: TypedSchedule,
        key: String?,
        _ home: QatHome,
        plan: (JobFile) throws -> Plan
    ) async throws {
        // One id for all words: what they mean is no part of what was typed.
        let neutral = try await JobReferences(typed) { words in
            Dictionary(uniqueKeysWithValues: words.map { ($0, .job(JobReferences.anyID)) })
        }
        let neutralPlan = try plan(neutral.file)
        var typedWords = words
        typedWords.references = neutral.ids.keys.sorted()
        digest = neutralPlan.digest(typedWords)
        let journal = SubmitJournal(home)
        before =
            key.map { [digest] in journal.intent(key: $0, digest: digest) }
            ?? journal.unfinished(digest: digest)
        guard !neutral.ids.isEmpty else {
            references = neutral
            self.plan = neutralPlan
            return
        }
        let known = before?.references ?? [:]
        references = try await JobReferences(typed) { words in
            guard words.allSatisfy({ known[$0] != nil }) else {
                return try await JobReferences.ask(words)
            }
            return known.mapValues(JobReferences.Answer.job)
        }
        references.tell()
        self.plan = try plan(references.file)
    }
}

/// What can be submitted.
protocol PlannedSubmission {
    /// Of all that makes it what it is, and of when and whether it is to run.
    func digest(_ schedule: TypedSchedule) -> String
}

extension SubmissionPlan: PlannedSubmission {}

extension PipelinePlan: PlannedSubmission {}
