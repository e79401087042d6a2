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
        let submission: JobEngine.Submission
        do {
            submission = try await read(request, by: user, caller).job
        } catch let error as StoreError
            where error.code == .notFound || error.code == .missingArtifacts
        {
            // Repeated after the answer was lost: what it names may be gone since.
            guard let id = try await known(request, of: user) else { throw error }
            return try await response(id, isCreated: false)
        }
        let (id, isCreated) = try await engine.submit(
            submission,
            quota: authority.policy.quota(of: user.name)
        )
        authority.audit.allow(caller, "job \(id)")
        return try await response(id, isCreated: isCreated)
    }

    private func response(_ id: String, isCreated: Bool) async throws -> SubmitJobResponse {
        SubmitJobResponse(
            jobID: id,
            created: isCreated,
            reusedFrom: try await engine.store.job(id).job.reusedFrom ?? ""
        )
    }

    /// The job that the same request made before.
    private func known(_ request: SubmitJobRequest, of user: User) async throws -> String? {
        guard let parsed = try? ParsedJob(kind: request.kind, json: request.specJSON) else {
            return nil
        }
        let digest = Self.digest(request, parsed.document.canonicalBytes)
        return try await engine.known(request.key, of: user.name, digest)
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
        guard let kind = Kind(rawValue: parsed.spec.kind) else {
            throw StoreError(.invalidArgument, "jobs of kind \(parsed.spec.kind) are not run here")
        }
        let inputs = try checked(request.inputs, of: parsed.spec)
        let sources = inputs.compactMap { InputSource($0.source).job } + request.after
        try await checkOpen(inputs, sources.filter { !names.contains($0) }, to: user, caller)
        let canonical = parsed.document.canonicalBytes
        let submission = JobEngine.Submission(
            owner: user.name,
            key: request.key,
            digest: Self.digest(request, canonical),
            kind: kind,
            name: request.name.isEmpty ? parsed.spec.name ?? "" : request.name,
            spec: canonical,
            resources: Resources(parsed.spec.resources),
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

    /// Inputs are what the user brought, or comes from jobs that they may see; so are jobs to start after.
    private func checkOpen(
        _ inputs: [Input],
        _ jobs: [String],
        to user: User,
        _ caller: Caller
    ) async throws {
        for id in jobs {
            do {
                try authority.check(user, .see, try await engine.store.job(id), caller)
            } catch let error as StoreError where error.code == .notFound {
                let place = inputs.first { InputSource($0.source).job == id }?.pointer
                let advice = "the whole id counts that submit printed"
                throw StoreError(
                    .notFound,
                    "\(place.map { "\($0): " } ?? "")\(error.message); \(advice)"
                )
            }
        }
        guard !user.seesAll else { return }
        let digests = Set(inputs.flatMap(\.files).map(\.digest))
        let open = try await engine.store.granted(digests, to: Grant.holder(user: user.name))
        if let closed = inputs.flatMap(\.files).first(where: { !open.contains($0.digest) }) {
            authority.audit.deny(caller, "sha256:\(closed.digest.hex) is not open to the caller")
            throw StoreError(
                .missingArtifacts,
                "not uploaded yet: \(PlainText.quoted(closed.path)) (sha256:\(closed.digest.hex))"
            )
        }
    }

    /// The inputs, once they are those the specification names and their files are stored.
    private func checked(_ inputs: [Input], of spec: JobSpec) throws -> [Input] {
        let expected = Set(spec.inputReferences.map(\.pointer))
        let found = Set(inputs.map(\.pointer))
        guard expected == found, found.count == inputs.count else {
            let odd = expected.symmetricDifference(found).sorted().joined(separator: ", ")
            throw StoreError(.invalidArgument, "the inputs do not fit the specification: \(odd)")
        }
        var missing: [String] = []
        let resolved = try inputs.map { input in
            var input = input
            if input.source.hasPrefix("sha256:") {
                // The client knows the digest only; the size is the store's to say.
                guard let digest = SHA256Digest(hex: String(input.source.dropFirst(7))),
                    let size = artifacts.size(digest)
                else {
                    throw StoreError(
                        .missingArtifacts,
                        "\(input.pointer): no artifact \(input.source)"
                    )
                }
                let name = input.files.first?.path ?? "artifact"
                input.files = [InputFile(path: name, digest: digest, size: size)]
            }
            guard !input.files.isEmpty || InputSource(input.source).job != nil else {
                throw StoreError(.invalidArgument, "\(input.pointer): an input without files")
            }
            for file in input.files {
                if artifacts.size(file.digest) != file.size {
                    missing.append("\(input.pointer) \(file.path) (sha256:\(file.digest.hex))")
                }
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

extension Resources {
    /// What a job file asks for.
    init(_ request: ResourceRequest) {
        self.init(
            accelerator: Accelerator(rawValue: request.accelerator.rawValue) ?? .auto,
            devices: request.devices,
            nodes: request.nodes
        )
    }
}
