internal import Jobs
internal import Protocol
internal import Synchronization

extension JobEngine {
    /// What a job's inputs come to.
    struct SettledInputs: Sendable {
        var verdict = InputsVerdict.ready
        /// The files of inputs that are other jobs' outputs, by the inputs' positions.
        var files: [Int: [InputFile]] = [:]
        /// The states of those jobs that this rests on.
        var conditions: [(id: String, state: JobState)] = []
        /// The most jobs in a row before this one, as far as they are of the commit to come.
        var depth = 0
        /// The stored jobs before this one that have not ended.
        var living: [StoredJob] = []
        /// Why a new job with such inputs is refused, or nil: they never were to be had.
        var refusal: String?
    }

    /// What a commit to come will have changed.
    struct Overlay: Sendable {
        /// Jobs' states.
        var states: [String: JobState] = [:]
        /// Outputs of those among them that succeed.
        var outputs: [String: [OutputFile]] = [:]
        /// How many jobs in a row wait for one another up to them.
        var depths: [String: Int] = [:]
    }

    /// Dependents that one commit stores.
    private static let settlementLimit = 256

    /// Looks at the jobs that a job's inputs come from, and at those after which it starts.
    ///
    /// `overlay`: What a commit to come will have changed. `isAgain`: Whether they were looked at before: a
    /// job that is gone since has left its files behind, or never will.
    ///
    /// - Throws: ``StoreError`` (`notFound`) if there is no such job.
    func settled(
        _ inputs: [Input],
        after predecessors: [String],
        overlay: Overlay = Overlay(),
        isAgain: Bool = false
    ) async throws -> SettledInputs {
        var result = SettledInputs()
        var isWaiting = false
        for id in predecessors {
            switch try await state(of: id, overlay, isAgain, &result) {
            case .gone:
                result.verdict = .neverStarts(
                    "job \(id), after which this was to start, was removed"
                )
                return result
            case .known(let state) where state == .failed || state == .cancelled:
                let sentence = "job \(id), after which this was to start, is \(state.rawValue)"
                result.verdict = .neverStarts(sentence)
                result.refusal = sentence + Self.advice(id)
                return result
            case .known(.succeeded): break
            case .known, .unreadable: isWaiting = true
            }
        }
        for (position, input) in inputs.enumerated() {
            guard case .job(let id, let output) = InputSource(input.source) else { continue }
            switch try await state(of: id, overlay, isAgain, &result) {
            case .gone:
                if !input.files.isEmpty { continue }
                let name = PlainText.quoted(output)
                result.verdict = .never("job \(id), whose output \(name) this needs, was removed")
                return result
            case .unreadable:
                isWaiting = isWaiting || input.files.isEmpty
            case .known(.succeeded):
                let files = try await files(named: output, of: id, overlay)
                guard !files.isEmpty else {
                    result.verdict = .never("job \(id) has no output \(PlainText.quoted(output))")
                    result.refusal = try await refusal(of: output, from: id, input.pointer, overlay)
                    return result
                }
                result.files[position] = files
            case .known(let state) where state == .failed || state == .cancelled:
                let name = PlainText.quoted(output)
                let sentence = "job \(id), whose output \(name) this needs, is \(state.rawValue)"
                result.verdict = .never(sentence)
                result.refusal = "\(PlainText.quoted(input.pointer)): " + sentence + Self.advice(id)
                return result
            case .known:
                isWaiting = true
            }
        }
        if isWaiting {
            result.verdict = .waiting
        } else if let fault = limits.sizeFault(of: resolved(inputs, result.files)) {
            result.verdict = .never(fault)
            result.refusal = fault
        }
        return result
    }

    /// What a user can do about a job that did not end well.
    private static func advice(_ id: String) -> String {
        "; retry that one first (qat-client retry \(id)), or name another"
    }

    /// How a job stands that another one needs.
    private enum Source {
        case known(JobState)
        /// It was removed.
        case gone
        /// Nobody knows until it is removed, or its row is put right.
        case unreadable
    }

    /// A job's state, once what it rests on is noted.
    ///
    /// Only those that have not ended make a row with this one.
    private func state(
        of id: String,
        _ overlay: Overlay,
        _ isAgain: Bool,
        _ result: inout SettledInputs
    ) async throws -> Source {
        if let state = overlay.states[id] {
            result.depth = max(result.depth, state.isTerminal ? 0 : overlay.depths[id] ?? 0)
            return .known(state)
        }
        let source: StoredJob
        do {
            source = try await store.job(id)
        } catch let error as StoreError where isAgain && error.code == .notFound {
            return .gone
        } catch let error as StoreError where isAgain && error.code == .corrupt {
            remarks.tell(error.message)
            return .unreadable
        }
        let state = source.job.state
        if !state.isTerminal { result.living.append(source) }
        result.conditions.append((id, state))
        return .known(state)
    }

    /// Inputs with the files of other jobs' outputs in their places.
    func resolved(_ inputs: [Input], _ files: [Int: [InputFile]]) -> [Input] {
        var resolved = inputs
        for (position, files) in files {
            resolved[position].files = files
        }
        return resolved
    }

    func settledInputs(
        of id: String,
        overlay: Overlay = Overlay()
    ) async throws -> SettledInputs {
        try await settled(
            try await store.inputs(of: id),
            after: try await store.predecessors(of: id),
            overlay: overlay,
            isAgain: true
        )
    }

    /// What is said of an output that a job ended without.
    private func refusal(
        of output: String,
        from id: String,
        _ pointer: String,
        _ overlay: Overlay
    ) async throws -> String {
        var outputs = overlay.outputs[id]
        if outputs == nil {
            outputs = try await store.outputs(of: id)
        }
        let names = Set((outputs ?? []).map { $0.name.prefix { $0 != "/" } }).sorted()
        let known = names.isEmpty ? "nothing" : names.joined(separator: ", ")
        return "\(PlainText.quoted(pointer)): job \(id) has no output \(PlainText.quoted(output)); "
            + "it has " + PlainText.cut(known, byteLimit: limits.sentenceBytes / 2)
    }

    private func files(
        named output: String,
        of id: String,
        _ overlay: Overlay
    ) async throws -> [InputFile] {
        var outputs = overlay.outputs[id]
        if outputs == nil {
            outputs = try await store.outputs(of: id)
        }
        return (outputs ?? [])
            .filter { $0.name == output || $0.name.hasPrefix(output + "/") }
            .map { InputFile(path: $0.name, digest: $0.digest, size: $0.size) }
    }

    /// Looks at the jobs that waited for one that ended, at those that waited for these, and so on.
    ///
    /// A failure here takes nothing back: the sweeper tries again, and so does the next start.
    func settleDependents(of id: String) async {
        unsettled.withLock { _ = $0.insert(id) }
        do {
            try await settle(after: [id])
            unsettled.withLock { _ = $0.remove(id) }
        } catch {
            hub.signal(id)
        }
    }

    /// Looks again where that failed before.
    func settleLeftovers() async throws {
        var failure: (any Error)?
        for id in unsettled.withLock({ $0 }) {
            do {
                try await settle(after: [id])
                unsettled.withLock { _ = $0.remove(id) }
            } catch {
                failure = failure ?? error
            }
        }
        if let failure { throw failure }
    }

    /// Looks at every blocked job once.
    ///
    /// A job is younger than those it waits for, so that one pass from the oldest settles chains of
    /// any length.
    func settleAllBlocked() async throws {
        var settlement = Settlement()
        try await forEach(in: [.blocked]) { stored in
            _ = try await add(stored, to: &settlement)
        }
        try await commit(&settlement)
    }

    private func settle(after ended: [String]) async throws {
        var work = ended
        var settlement = Settlement()
        while let id = work.popLast() {
            try await forEachDependent(of: id, in: [.blocked]) { stored in
                if try await add(stored, to: &settlement) {
                    work.append(stored.job.id)
                }
            }
        }
        try await commit(&settlement)
    }

    /// Dependents that are decided upon and not stored yet.
    private struct Settlement {
        var batch = JobBatch()
        var decisions: [Decision] = []
        var overlay = Overlay()
    }

    /// Decides on a blocked job, unless that is done.
    ///
    /// - Returns: Whether it ended.
    private func add(_ stored: StoredJob, to settlement: inout Settlement) async throws -> Bool {
        guard settlement.overlay.states[stored.job.id] == nil else { return false }
        let inputs: SettledInputs
        do {
            inputs = try await settledInputs(of: stored.job.id, overlay: settlement.overlay)
        } catch let error as StoreError where error.code == .corrupt {
            // It stays as it is; that is no reason to leave the others, too.
            remarks.tell("job \(stored.job.id) waits: \(error.message)")
            return false
        }
        let decision = decide(.inputsSettled(inputs.verdict), stored.job)
        guard decision.isChange else { return false }
        settlement.batch.tell(decision)
        settlement.batch.changes.append(JobBatch.Change(job: decision.job, files: inputs.files))
        settlement.batch.conditions += inputs.conditions
        settlement.decisions.append(decision)
        settlement.overlay.states[stored.job.id] = decision.job.state
        if settlement.decisions.count >= Self.settlementLimit {
            try await commit(&settlement)
        }
        return decision.isEnd
    }

    private func commit(_ settlement: inout Settlement) async throws {
        let done = settlement
        settlement = Settlement()
        guard !done.decisions.isEmpty else { return }
        guard try await store.commit(done.batch) != .committed else {
            for decision in done.decisions { note(decision) }
            return
        }
        // Somebody changed one of them in between: one after the other then, from the oldest.
        for decision in done.decisions {
            do {
                try await settleAlone(decision.job.id)
            } catch let error as StoreError where [.notFound, .corrupt].contains(error.code) {
                remarks.tell("job \(decision.job.id) waits: \(error.message)")
            }
        }
    }

    private func settleAlone(_ id: String) async throws {
        _ = try await change(id) { stored in
            let inputs = try await settledInputs(of: stored.job.id)
            let decision = decide(.inputsSettled(inputs.verdict), stored.job)
            var batch = JobBatch()
            if decision.isChange {
                batch.changes = [JobBatch.Change(job: decision.job, files: inputs.files)]
                batch.conditions = inputs.conditions
            }
            return (decision, batch)
        }
    }
}
