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
        let (neutral, neutralPlan, digest) = try await Self.neutral(typed, words, plan)
        self.digest = digest
        let journal = SubmitJournal(home)
        func same(_ digest: SubmitJournal.Digest) -> SubmitJournal.Intent? {
            key.map { journal.intent(key: $0, digest) } ?? journal.unfinished(digest)
        }
        var found = same(.init(digest))
        if found == nil, !neutral.ids.isEmpty {
            let earlier = try await Self.earlierDigest(typed, words, plan)
            found = same(.init(earlier, isEarlier: true))
        }
        before = found
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
        references.tell(since: known.isEmpty ? nil : before?.time)
        self.plan = try plan(references.file)
    }

    /// A file as it was typed, with ids of nobody's for its words: what they mean is no part of it, and where each
    /// stands is.
    static func neutral(
        _ typed: JobFile,
        _ words: TypedSchedule,
        _ plan: (JobFile) throws -> Plan
    ) async throws -> (JobReferences, Plan, digest: String) {
        let neutral = try await JobReferences(typed) { words in
            let ids = words.sorted().enumerated().map { ($1, JobReferences.nobody($0)) }
            return Dictionary(uniqueKeysWithValues: ids.map { ($0, .job($1)) })
        }
        let neutralPlan = try naming(neutral.ids) { try plan(neutral.file) }
        var words = words
        words.references = neutral.resolved.map { "\($0.path) \($0.from)" }.sorted()
        return (neutral, neutralPlan, neutralPlan.digest(words))
    }

    /// The digest that version 0.1.0 formed until November 2026 of a file with words: of the words without their
    /// places.
    private static func earlierDigest(
        _ typed: JobFile,
        _ words: TypedSchedule,
        _ plan: (JobFile) throws -> Plan
    ) async throws -> String {
        let neutral = try await JobReferences(typed) { words in
            Dictionary(uniqueKeysWithValues: words.map { ($0, .job(JobReferences.nobody(0))) })
        }
        var words = words
        words.references = neutral.ids.keys.sorted()
        return try plan(neutral.file).digest(words)
    }

    /// Plans; what is wrong is said in the words that were typed, not in the ids that stand for them.
    private static func naming(
        _ ids: [String: String],
        _ plan: () throws -> Plan
    ) throws -> Plan {
        do {
            return try plan()
        } catch let error as ClientError {
            let lines = error.lines.map { line in
                ids.reduce(line) { $0.replacing("job:" + $1.value, with: "job:" + $1.key) }
            }
            throw ClientError(error.status, lines)
        }
    }
}

/// What can be submitted.
protocol PlannedSubmission {
    /// Of all that makes it what it is, and of when and whether it is to run.
    func digest(_ schedule: TypedSchedule) -> String
}

extension SubmissionPlan: PlannedSubmission {}

extension PipelinePlan: PlannedSubmission {}
