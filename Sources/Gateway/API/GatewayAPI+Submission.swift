internal import JobSpecs
internal import Jobs
internal import Protocol

extension GatewayAPI {
    /// Takes a job, exactly once per user and key.
    func submit(
        _ request: SubmitJobRequest,
        by principal: Principal
    ) async throws -> SubmitJobResponse {
        let caller = Caller(principal, .submitJob)
        let user = try authority.user(caller)
        let (id, isCreated): (String, Bool)
        do {
            try await checkRoom(of: user.name)
            (id, isCreated) = try await engine.submit(
                try await read(request, by: user, caller).job,
                quota: authority.policy.quota(of: user.name)
            )
        } catch let error as StoreError where JobEngine.mayBeRepeated(error) {
            // Repeated after the answer was lost: what it names may be gone since, and limits be lower.
            guard let known = try await known(request, of: user) else { throw error }
            (id, isCreated) = (known, false)
        }
        if isCreated { authority.audit.allow(caller, "job \(id)") }
        return try await response(id, isCreated: isCreated)
    }

    /// Refuses work of those whose artifacts take all that they may: the outputs of jobs that run are
    /// taken, however many.
    func checkRoom(of owner: String) async throws {
        guard let limit = authority.policy.quota(of: owner).bytes else { return }
        let used = try await engine.store.byteCount(of: Grant.holder(user: owner))
        guard used >= limit else { return }
        throw StoreError(
            .quota,
            "the artifacts of \(owner) take \(used) of the \(limit) bytes that the quota allows; "
                + "remove some (artifacts rm, jobs rm), or ask an operator for a larger quota"
        )
    }

    private func response(_ id: String, isCreated: Bool) async throws -> SubmitJobResponse {
        SubmitJobResponse(
            jobID: id,
            created: isCreated,
            reusedFrom: try await engine.store.job(id).job.reusedFrom ?? ""
        )
    }

    /// The job that the same request made before.
    ///
    /// - Throws: ``StoreError`` (`alreadyExists`) if that was another one, or this one cannot be read.
    private func known(_ request: SubmitJobRequest, of user: User) async throws -> String? {
        guard let digest = Self.digest(request) else {
            // What this version refuses an earlier one may have taken.
            let known = try await engine.store.submission(owner: user.name, key: request.key)
            try Self.refuseUnreadable(key: request.key, of: known.map { "job \($0.id)" })
            return nil
        }
        return try await engine.known(request.key, of: user.name, digest)
    }

    /// `known`: What a key of a request belongs to that cannot be read, if to anything.
    static func refuseUnreadable(key: String, of known: String?) throws {
        guard let known else { return }
        throw StoreError(
            .alreadyExists,
            "key \(key) belongs to \(known), and what is submitted now cannot be read by this version; "
                + "for a new one choose another key"
        )
    }

    /// The digest of a request whose specification can be read, whatever became of what it names.
    static func digest(_ request: SubmitJobRequest) -> SHA256Digest? {
        let parsed = try? ParsedJob(kind: request.kind, json: request.specJSON)
        return parsed.map { digest(request, $0.document.canonicalBytes) }
    }

    /// What a request asks for, once the user may have it and all of it is here.
    ///
    /// `names`: Jobs of the same pipeline, which its references may name.
    func read(
        _ request: SubmitJobRequest,
        names: Set<String> = [],
        by user: User,
        _ caller: Caller
    ) async throws -> (job: JobEngine.Submission, spec: JobSpec) {
        let parsed: ParsedJob
        do {
            parsed = try ParsedJob(kind: request.kind, json: request.specJSON)
        } catch {
            throw StoreError(.invalidArgument, "\(error)")
        }
        try Self.checkPlaces(request.inputs, of: parsed.spec)
        try await checkSources(request, parsed.spec, except: names, of: user, caller)
        let inputs = try await resolved(request.inputs, of: user, caller)
        let canonical = parsed.document.canonicalBytes
        let submission = JobEngine.Submission(
            owner: user.name,
            key: request.key,
            digest: Self.digest(request, canonical),
            kind: parsed.spec.kind,
            name: request.name.isEmpty ? parsed.spec.name ?? "" : request.name,
            spec: canonical,
            resources: parsed.spec.resources,
            inputs: inputs,
            holder: user.seesAll ? nil : Grant.holder(user: user.name),
            checksArtifacts: true
        )
        let job = try engine.scheduled(
            submission,
            request,
            parsed.spec,
            by: user,
            artifacts: artifacts
        )
        return (job, parsed.spec)
    }

    /// Checks that the inputs are those that the specification names, by place and by source: what others
    /// read of a job is what was computed on.
    private static func checkPlaces(_ inputs: [Input], of spec: JobSpec) throws {
        let expected = Set(spec.inputReferences.map(\.pointer))
        let found = Set(inputs.map(\.pointer))
        guard expected == found, found.count == inputs.count else {
            let odd = expected.symmetricDifference(found).sorted().joined(separator: ", ")
            throw StoreError(
                .invalidArgument,
                "the inputs do not fit the specification: "
                    + PlainText.cut(odd, byteLimit: 1024)
            )
        }
        let texts = Dictionary(spec.inputReferences.map { ($0.pointer, $0.text) }) { first, _ in
            first
        }
        for input in inputs {
            let text = texts[input.pointer] ?? ""
            switch (InputSource(text), InputSource(input.source)) {
            // What files are called on the submitter's disk is for people only.
            case (.local, .local): continue
            case (let said, let sent) where said == sent: continue
            default:
                throw StoreError(
                    .invalidArgument,
                    "\(input.pointer): the source \(PlainText.quoted(input.source)) is not what the "
                        + "specification says, \(PlainText.quoted(text))"
                )
            }
        }
    }

    /// Checks that the user may see the jobs that a request needs, and that these make what it names.
    ///
    /// `names`: Jobs of the same pipeline.
    private func checkSources(
        _ request: SubmitJobRequest,
        _ spec: JobSpec,
        except names: Set<String>,
        of user: User,
        _ caller: Caller
    ) async throws {
        for input in request.inputs {
            guard case .job(let id, let output) = InputSource(input.source), !names.contains(id)
            else { continue }
            let source = try await source(id, "\(input.pointer): ", of: user, caller)
            try await check(output, of: source, input.pointer, of: spec)
        }
        for id in request.after where !names.contains(id) {
            _ = try await source(id, "", of: user, caller)
        }
    }

    private func source(
        _ id: String,
        _ place: String,
        of user: User,
        _ caller: Caller
    ) async throws -> StoredJob {
        do {
            let stored = try await engine.store.job(id)
            try authority.check(user, .see, job: id, of: stored.owner, caller)
            return stored
        } catch let error as StoreError where error.code == .notFound {
            let advice = "the whole id counts that submit printed"
            throw StoreError(.notFound, "\(place)\(error.message); \(advice)")
        }
    }

    /// Checks that a job makes an output, and one of the kind that a place asks for.
    ///
    /// What one that ended has is known later: it may be more than was certain.
    private func check(
        _ output: String,
        of source: StoredJob,
        _ pointer: String,
        of spec: JobSpec
    ) async throws {
        let kind = source.job.kind.rawValue
        let json = try await engine.store.document(source.job.id).spec
        // Submitted by another version, it may say what this one cannot read.
        guard let outputs = try? ParsedJob(kind: kind, json: json).spec.typedOutputs else { return }
        let job = "\(kind) job \(source.job.id)"
        guard source.job.state.isTerminal || PartName.makes(output, outputs.map(\.path)) else {
            throw StoreError(
                .invalidArgument,
                "\(pointer): \(job) makes no \(PlainText.quoted(output)); "
                    + "it makes " + outputs.map(\.path).joined(separator: ", ")
            )
        }
        try Self.check(output, of: job, outputs, at: pointer, pointer: pointer, of: spec)
    }

    /// Checks that an output is what a specification asks for.
    ///
    /// `place`: What the refusal begins with. `pointer`: The place in the specification.
    static func check(
        _ output: String,
        of job: String,
        _ outputs: [JobOutput],
        at place: String,
        pointer: String,
        of spec: JobSpec
    ) throws {
        guard let role = spec.inputReferences.first(where: { $0.pointer == pointer })?.role,
            let fault = JobOutput.fault(of: output, as: role, among: outputs)
        else { return }
        throw StoreError(.invalidArgument, "\(place): of \(job), \(fault)")
    }

    /// The inputs with the sizes of artifacts that are named by their digest, once every file is stored
    /// and open to the user.
    ///
    /// What is there and closed to the user is answered as what is not there.
    private func resolved(
        _ inputs: [Input],
        of user: User,
        _ caller: Caller
    ) async throws -> [Input] {
        let named = inputs.compactMap { Self.digest($0.source) }
        let digests = Set(inputs.flatMap(\.files).map(\.digest) + named)
        let open =
            user.seesAll
            ? digests
            : try await engine.store.granted(digests, to: Grant.holder(user: user.name))
        if let closed = digests.subtracting(open).first {
            authority.audit.deny(caller, "sha256:\(closed.hex) is not open to the caller")
        }
        if !digests.isEmpty { try artifacts.requirePresence() }
        func size(_ digest: SHA256Digest) -> UInt64? {
            open.contains(digest) ? artifacts.size(digest) : nil
        }
        var missing: [String] = []
        let resolved = try inputs.map { input in
            var input = input
            if case .digest(let hex) = InputSource(input.source) {
                // The client knows the digest only; the size is the store's to say.
                guard let digest = SHA256Digest(hex: hex), let size = size(digest) else {
                    throw StoreError(
                        .missingArtifacts,
                        "\(input.pointer): no artifact \(PlainText.quoted(input.source))"
                    )
                }
                guard input.files.count <= 1, input.files.allSatisfy({ $0.digest == digest })
                else {
                    throw StoreError(
                        .invalidArgument,
                        "\(input.pointer): \(PlainText.quoted(input.source)) is one file, of that digest"
                    )
                }
                let name = input.files.first?.path ?? "artifact"
                input.files = [InputFile(path: name, digest: digest, size: size)]
            }
            guard !input.files.isEmpty || InputSource(input.source).job != nil else {
                throw StoreError(.invalidArgument, "\(input.pointer): an input without files")
            }
            for file in input.files where size(file.digest) != file.size {
                let path = PlainText.quoted(file.path, byteLimit: 200)
                missing.append("\(input.pointer) \(path) (sha256:\(file.digest.hex))")
            }
            return input
        }
        guard missing.isEmpty else {
            throw StoreError(
                .missingArtifacts,
                "not uploaded yet: \(missing.prefix(5).joined(separator: ", "))"
            )
        }
        return resolved
    }

    private static func digest(_ source: String) -> SHA256Digest? {
        guard case .digest(let hex) = InputSource(source) else { return nil }
        return SHA256Digest(hex: hex)
    }

    /// The digest of everything that makes a submission what it is.
    private static func digest(_ request: SubmitJobRequest, _ canonical: [UInt8]) -> SHA256Digest {
        var hasher = SHA256Hasher()
        func add(_ bytes: [UInt8]) {
            hasher.update(withUnsafeBytes(of: UInt64(bytes.count).littleEndian) { Array($0) })
            hasher.update(bytes)
        }
        add(Array(request.kind.utf8))
        add(Array(request.name.utf8))
        add(canonical)
        for input in request.inputs.sorted(by: { $0.pointer < $1.pointer }) {
            add(Array(input.pointer.utf8))
            // Where local files lay does not matter, only what is in them.
            add(input.files.isEmpty ? Array(input.source.utf8) : [])
            for file in input.files.sorted(by: { $0.path < $1.path }) {
                add(Array(file.path.utf8))
                add(file.digest.bytes)
            }
        }
        if !request.scheduleBytes.isEmpty {
            add(request.scheduleBytes)
        }
        return hasher.finalize()
    }
}
