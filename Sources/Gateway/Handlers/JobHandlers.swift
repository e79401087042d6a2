internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol
internal import ServiceKit

/// What users ask of jobs.
struct JobHandlers: Sendable {
    let engine: JobEngine
    let artifacts: ArtifactStore
    let logs: JobLogStore
    let authority: Authority
    let started = ContinuousClock.now

    private static let pageLimit = 200

    func add(to router: inout RPCRouter) {
        router.unary(QatMethods.submitJob, allow: .users) { request, context in
            try await mapped { try await submit(request, context) }
        }
        router.unary(QatMethods.getJob, allow: .users) { request, context in
            try await mapped {
                _ = try await user(context, to: .see, request.jobID)
                return try await engine.detail(request.jobID)
            }
        }
        router.unary(QatMethods.listJobs, allow: .users) { request, context in
            try await mapped { try await list(request, try authority.user(context)) }
        }
        router.serverStream(QatMethods.watchJob, allow: .users) { request, context, writer in
            try await mapped {
                _ = try await user(context, to: .see, request.jobID)
                try await watch(request, writer)
            }
        }
        router.unary(QatMethods.cancelJob, allow: .users) { request, context in
            try await mapped {
                let user = try await user(context, to: .act, request.jobID)
                try await engine.cancel(request.jobID, now: request.now, by: user.name)
                authority.audit.allow(context, "job \(request.jobID)")
                return try await engine.detail(request.jobID).summary
            }
        }
        router.unary(QatMethods.retryJob, allow: .users) { request, context in
            try await mapped {
                let user = try await user(context, to: .act, request.jobID)
                try await engine.retry(request.jobID, by: user.name)
                authority.audit.allow(context, "job \(request.jobID)")
                return try await engine.detail(request.jobID).summary
            }
        }
        router.serverStream(QatMethods.jobLogs, allow: .users) { request, context, writer in
            try await mapped {
                _ = try await user(context, to: .see, request.jobID)
                try await readLog(request, writer)
            }
        }
        router.unary(QatMethods.status, allow: .users) { request, context in
            try await mapped { try await status(request, try authority.user(context)) }
        }
    }

    /// The caller, who may have their way with a job.
    private func user(
        _ context: CallContext,
        to access: JobAccess,
        _ id: String
    ) async throws -> User {
        let user = try authority.user(context)
        try authority.check(user, access, try await engine.store.job(id), context)
        return user
    }

    private func submit(
        _ request: SubmitJobRequest,
        _ context: CallContext
    ) async throws -> SubmitJobResponse {
        let parsed: ParsedJob
        do {
            parsed = try ParsedJob(kind: request.kind, json: request.specJSON)
        } catch {
            throw StoreError(.invalidArgument, "\(error)")
        }
        guard let kind = Kind(rawValue: parsed.spec.kind) else {
            throw StoreError(.invalidArgument, "jobs of kind \(parsed.spec.kind) are not run here")
        }
        let user = try authority.user(context)
        let inputs = try checked(request.inputs, of: parsed.spec)
        try await checkOpen(inputs, to: user, context)
        let canonical = parsed.document.canonicalBytes
        let (id, isCreated) = try await engine.submit(
            JobEngine.Submission(
                owner: user.name,
                key: request.key,
                digest: Self.digest(request, canonical),
                kind: kind,
                name: request.name.isEmpty ? parsed.spec.name ?? "" : request.name,
                spec: canonical,
                resources: Resources(parsed.spec.resources),
                inputs: inputs
            ),
            quota: authority.policy.quota(of: user.name)
        )
        authority.audit.allow(context, "job \(id)")
        return SubmitJobResponse(jobID: id, created: isCreated)
    }

    /// Inputs are what the user brought, or comes from jobs that they may see.
    private func checkOpen(
        _ inputs: [Input],
        to user: User,
        _ context: CallContext
    ) async throws {
        for input in inputs {
            guard let id = InputSource(input.source).job else { continue }
            try authority.check(user, .see, try await engine.store.job(id), context)
        }
        guard !user.seesAll else { return }
        let digests = Set(inputs.flatMap(\.files).map(\.digest))
        let open = try await engine.store.granted(digests, to: Grant.holder(user: user.name))
        if let closed = inputs.flatMap(\.files).first(where: { !open.contains($0.digest) }) {
            authority.audit.deny(context, "sha256:\(closed.digest.hex) is not open to the caller")
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
        return hasher.finalize()
    }

    private func list(_ request: ListJobsRequest, _ user: User) async throws -> ListJobsResponse {
        var before: Int64?
        if !request.pageToken.isEmpty {
            guard let token = Int64(request.pageToken) else {
                throw StoreError(
                    .invalidArgument,
                    "page token \(request.pageToken) is none of ours"
                )
            }
            before = token
        }
        let (jobs, next) = try await engine.list(
            pageSize: Self.pageSize(request.pageSize),
            before: before,
            owner: user.onlyOwner
        )
        return ListJobsResponse(jobs: jobs, nextPageToken: next.map { "\($0)" } ?? "")
    }

    private func status(_ request: StatusRequest, _ user: User) async throws -> StatusResponse {
        let jobs = try await engine.list(
            pageSize: Self.pageSize(request.pageSize),
            before: nil,
            owner: user.onlyOwner
        ).jobs
        return StatusResponse(
            version: SuiteVersion.current,
            uptimeSeconds: (ContinuousClock.now - started) / .seconds(1),
            services: try await engine.services(),
            jobs: jobs
        )
    }

    private static func pageSize(_ asked: UInt32) -> Int {
        asked == 0 ? 50 : min(Int(asked), pageLimit)
    }

    /// Replays a job's events, then follows it.
    ///
    /// The subscription comes before the reading, so an event that is written in between wakes the
    /// loop.
    private func watch(_ request: WatchJobRequest, _ writer: StreamWriter<JobEvent>) async throws {
        let changes = engine.hub.subscribe(request.jobID)
        var iterator = changes.makeAsyncIterator()
        // The first number wanted is the first that is sent; 0 and 1 both mean all.
        var seq = max(1, request.fromSeq) - 1
        while true {
            let (events, isOver) = try await engine.events(request.jobID, after: seq, limit: 200)
            for event in events {
                try await writer.write(event)
                seq = event.seq
            }
            if isOver {
                return
            }
            if events.isEmpty, await iterator.next() == nil {
                return
            }
            try Task.checkCancellation()
        }
    }

    private func readLog(_ request: JobLogsRequest, _ writer: StreamWriter<LogChunk>) async throws {
        let changes = engine.hub.subscribe(request.jobID)
        var iterator = changes.makeAsyncIterator()
        var offset = request.offset
        while true {
            // Read the state before the log: what is written before the end is then not missed.
            let summary = try await engine.detail(request.jobID).summary
            let isOver = JobState(rawValue: summary.state)?.isTerminal ?? true
            var bytes = try logs.read(request.jobID, offset: offset, count: 32 << 10)
            while !bytes.isEmpty {
                try await writer.write(LogChunk(offset: offset, data: bytes))
                offset += UInt64(bytes.count)
                bytes = try logs.read(request.jobID, offset: offset, count: 32 << 10)
            }
            guard request.follow, !isOver, await iterator.next() != nil else {
                return
            }
            try Task.checkCancellation()
        }
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

/// Runs a handler; the store's refusals become the call's.
func mapped<Result>(_ work: () async throws -> Result) async throws -> Result {
    do {
        return try await work()
    } catch let error as StoreError {
        throw error.rpcError
    }
}
