internal import Foundation
internal import HTTPTypes
internal import JobSpecs
internal import Jobs
internal import Logging
internal import NIOCore
internal import Protocol
internal import Serving

/// Answers a request, whose body is whole.
typealias HTTPRoute = @Sendable (ByteBuffer, HTTPAnswer) async throws -> Void

/// Which request is answered how: paths and methods, tokens, and what a request may take.
struct HTTPRoutes: Sendable {
    let serving: any ModelServing
    let tokens: TokenFile
    let trustDomain: String
    let limits: HTTPSettings.Limits
    let slots: RequestSlots
    let metrics: HTTPMetrics
    /// What `/metrics` tells beside what is counted here; throws of who may not know it.
    let figures: @Sendable (Principal) async throws -> MetricsPage
    let audit: AuditLog
    let logger: Logger

    /// A path, the methods that it takes, and whether anybody may ask.
    private struct Endpoint {
        let name: String
        let methods: [HTTPRequest.Method]
        var isOpen = false
        let answer: @Sendable (HTTPCaller, ByteBuffer, HTTPAnswer) async throws -> Void
    }

    /// Finds what answers a request, before its body is read.
    ///
    /// - Throws: ``HTTPFailure`` of a request that is not answered.
    func route(_ head: HTTPRequest, _ link: HTTPLink) throws -> HTTPRoute {
        let path = String((head.path ?? "").prefix { $0 != "?" && $0 != "#" })
        guard let endpoint = endpoint(path) else {
            throw HTTPFailure(
                .notFound,
                "there is no \(PlainText.quoted(path)) here",
                code: "not_found"
            )
        }
        guard endpoint.methods.contains(head.method) else {
            var failure = HTTPFailure(
                .methodNotAllowed,
                "\(PlainText.quoted(path)) takes \(endpoint.methods.map(\.rawValue).joined(separator: ", "))",
                code: "method_not_allowed"
            )
            failure.allowed = endpoint.methods.map(\.rawValue)
            throw failure
        }
        let caller = try endpoint.isOpen ? .nobody : caller(head, link, endpoint.name)
        if head.method == .post { try Self.checkType(head) }
        return { body, answer in
            let start = ContinuousClock.now
            defer {
                let time = start.duration(to: .now)
                metrics.count(endpoint.name, status: answer.status)
                logger.debug(
                    "http",
                    metadata: [
                        "request": "\(answer.id)", "method": "\(head.method)",
                        "path": "\(PlainText.quoted(path))", "status": "\(answer.status)",
                        "user": "\(caller.name)", "ms": "\(Int64(time / .milliseconds(1)))",
                    ]
                )
            }
            do {
                try await endpoint.answer(caller, body, answer)
            } catch {
                report(error, answer)
                // Counted with its own status, where there is somebody to tell.
                try await answer.fail(error)
            }
        }
    }

    /// Counts a request that was refused before anything of it was done.
    func note(_ failure: HTTPFailure, _ head: HTTPRequest) {
        let path = String((head.path ?? "").prefix { $0 != "?" && $0 != "#" })
        metrics.count(endpoint(path)?.name ?? "other", status: failure.status.code)
    }

    /// What callers are not told.
    private func report(_ error: any Error, _ answer: HTTPAnswer) {
        guard HTTPFailure(error).status == .internalServerError, !(error is CancellationError),
            !(error is ChannelError)
        else { return }
        logger.error(
            "http request failed",
            metadata: ["request": "\(answer.id)", "error": "\(error)"]
        )
    }

    private func endpoint(_ path: String) -> Endpoint? {
        let models = "/v1/models/"
        switch path {
        case "/health":
            return Endpoint(name: path, methods: [.get, .head], isOpen: true) { _, _, answer in
                let health = ServingHealth(await serving.replicas())
                try await answer.send(
                    health.json,
                    status: health.isHealthy ? .ok : .serviceUnavailable
                )
            }
        case "/metrics":
            return Endpoint(name: path, methods: [.get, .head]) { caller, _, answer in
                var page = try await figures(caller.principal)
                page.add(await serving.replicas())
                metrics.add(to: &page, running: slots.count)
                try await answer.send(page.bytes, MetricsPage.contentType)
            }
        case "/v1/models":
            return Endpoint(name: path, methods: [.get, .head]) { caller, _, answer in
                let models = try await self.models(of: caller)
                try await answer.send(ModelShapes.list(models))
            }
        case _ where path.hasPrefix(models) && path.count > models.count:
            let name = String(path.dropFirst(models.count)).removingPercentEncoding
            return Endpoint(name: models + "{id}", methods: [.get, .head]) { caller, _, answer in
                let known = try await self.models(of: caller)
                guard let model = known.first(where: { $0.name == name }) else {
                    throw HTTPFailure.unknownModel(name ?? path)
                }
                try await answer.send(ModelShapes.model(model))
            }
        case "/generate": return texts(path) { try CompletionRequest(plain: $0) }
        case "/v1/completions": return texts(path) { try CompletionRequest(completion: $0) }
        case "/v1/chat/completions": return texts(path) { try CompletionRequest(chat: $0) }
        case "/tokenize", "/v1/tokenize":
            return Endpoint(name: "/tokenize", methods: [.post]) { caller, body, answer in
                try await tokenize(caller, body, answer)
            }
        default: return nil
        }
    }

    /// An endpoint that has texts written.
    private func texts(
        _ name: String,
        _ read: @escaping @Sendable (RequestFields) throws -> CompletionRequest
    ) -> Endpoint {
        Endpoint(name: name, methods: [.post]) { caller, body, answer in
            let request = try read(RequestFields(body, byteLimit: limits.bodyBytes))
            try await slots.hold(for: caller.name) {
                let model = try await self.model(request.model, for: caller)
                let writing = TextWriting(
                    request: request,
                    model: model.name,
                    principal: caller.principal,
                    serving: serving,
                    metrics: metrics
                )
                try await Self.withTimeLimit(limits.answerTime) { try await writing.run(answer) }
            }
        }
    }

    private func tokenize(
        _ caller: HTTPCaller,
        _ body: ByteBuffer,
        _ answer: HTTPAnswer
    ) async throws {
        let fields = try RequestFields(body, byteLimit: limits.bodyBytes)
        try fields.requireKnown(["model", "prompt", "messages", "tools", "tool_choice"])
        let prompt: TextRequest.Prompt
        if let text = try fields.string("prompt") {
            guard fields["messages"] == nil else {
                throw HTTPFailure.field(
                    "messages",
                    "prompt and messages are both set; one is needed"
                )
            }
            prompt = .text(text)
        } else {
            prompt = try ChatFields.conversation(fields)
        }
        try await slots.hold(for: caller.name) {
            let model = try await self.model(try fields.string("model"), for: caller)
            let tokens = try await serving.tokens(
                of: prompt,
                model: model.name,
                for: caller.principal
            )
            try await answer.send(ModelShapes.tokens(tokens, of: model.known))
        }
    }

    /// The models that a caller may use, with this token.
    private func models(of caller: HTTPCaller) async throws -> [ServedModel] {
        try await serving.models(for: caller.principal).filter { caller.admits(model: $0.name) }
    }

    /// The name of the model that is meant, and what is known of it.
    ///
    /// Of a name that is not among the caller's models whoever routes says why: it may be about to be there.
    ///
    /// - Throws: ``HTTPFailure`` if the token is not for it, or nobody knows which is meant.
    private func model(
        _ name: String?,
        for caller: HTTPCaller
    ) async throws -> (name: String, known: ServedModel?) {
        let known = try await models(of: caller)
        if let name {
            // Models of several owners may have one name; the job's id tells them apart.
            let model = known.first { $0.name == name } ?? known.first { $0.job == name }
            guard caller.admits(model: model?.name ?? name) else {
                throw HTTPFailure.unknownModel(name)
            }
            return (name, model)
        }
        guard let only = known.first else {
            throw HTTPFailure(
                .notFound,
                "no model is served, or none that is yours to use",
                param: "model",
                code: "model_not_found"
            )
        }
        guard known.count == 1 else {
            let names = Set(known.map(\.name)).sorted().joined(separator: ", ")
            throw HTTPFailure.field("model", "model is missing; served are \(names)")
        }
        return (only.name, only)
    }

    /// Who asks.
    ///
    /// - Throws: ``HTTPFailure`` (401) of who shows no token, or none that is known.
    private func caller(
        _ head: HTTPRequest,
        _ link: HTTPLink,
        _ endpoint: String
    ) throws -> HTTPCaller {
        let scheme = "bearer "
        guard let text = head.headerFields[.authorization], text.lowercased().hasPrefix(scheme)
        else {
            throw HTTPFailure(
                .unauthorized,
                "a token is needed: Authorization: Bearer TOKEN",
                code: "missing_api_key"
            )
        }
        let secret = text.dropFirst(scheme.count).trimmingCharacters(in: .whitespaces)
        let now = Int64(Date.now.timeIntervalSince1970)
        guard let token = tokens.token(secret, at: now) else {
            audit.deny(
                address: link.channel.remoteAddress?.ipAddress ?? "unknown",
                method: "HTTP \(endpoint)",
                "the token is unknown or over"
            )
            throw HTTPFailure(
                .unauthorized,
                "the token is unknown, or its time is over",
                code: "invalid_api_key"
            )
        }
        let identity = PeerIdentity(trustDomain: trustDomain, subject: .user(name: token.user))
        let hangUp = link.hangUp
        return HTTPCaller(
            principal: Principal(identity) { hangUp.isConnected },
            token: token
        )
    }

    private static func checkType(_ head: HTTPRequest) throws {
        let text = head.headerFields[.contentType] ?? ""
        let parts = text.lowercased().split(separator: ";").map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        let isText = parts.dropFirst().allSatisfy {
            !$0.hasPrefix("charset=") || ["charset=utf-8", "charset=\"utf-8\""].contains($0)
        }
        guard parts.first == "application/json", isText else {
            throw HTTPFailure(
                .unsupportedMediaType,
                "Content-Type is \(PlainText.quoted(text)); application/json in UTF-8 is needed",
                code: "unsupported_media_type"
            )
        }
        guard head.headerFields[.contentEncoding] == nil else {
            throw HTTPFailure(
                .unsupportedMediaType,
                "Content-Encoding: bodies are read as they are, not compressed",
                code: "unsupported_media_type"
            )
        }
    }

    /// Does something within a time.
    private static func withTimeLimit(
        _ limit: Duration,
        _ body: @escaping @Sendable () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask(operation: body)
            group.addTask {
                try await Task.sleep(for: limit)
                throw HTTPFailure.timeout
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}

/// Who asks over HTTP: a user, and the token that they showed.
struct HTTPCaller: Sendable {
    let principal: Principal
    /// Nil of whom nobody asked for one.
    let token: BearerToken?

    /// Somebody who need be nobody.
    static let nobody = HTTPCaller(
        principal: Principal(PeerIdentity(trustDomain: "", subject: .user(name: ""))),
        token: nil
    )

    /// The user's name.
    var name: String { token?.user ?? "" }

    /// Whether the token may be used for a model.
    func admits(model: String) -> Bool { token?.admits(model: model) ?? false }
}
