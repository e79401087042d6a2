internal import HTTPTypes
internal import JobSpecs
internal import Jobs
internal import Protocol

/// Why a request is refused or failed, as HTTP's status and OpenAI's error object.
struct HTTPFailure: Error, Sendable {
    /// HTTP's status.
    var status: HTTPResponse.Status
    /// What happened and what to do.
    var message: String
    /// The error's kind, in OpenAI's words.
    var type: String
    /// The field of the request that is wrong.
    var param: String?
    /// A word for programs.
    var code: String?
    /// Seconds after which to try again.
    var retryAfter: Int?
    /// Methods that the path takes, where it does not take the request's.
    var allowed: [String] = []

    init(
        _ status: HTTPResponse.Status,
        _ message: String,
        type: String = "invalid_request_error",
        param: String? = nil,
        code: String? = nil,
        retryAfter: Int? = nil
    ) {
        self.status = status
        self.message = message
        self.type = type
        self.param = param
        self.code = code
        self.retryAfter = retryAfter
    }

    /// A field that is wrong.
    static func field(_ name: String, _ message: String, code: String? = nil) -> HTTPFailure {
        HTTPFailure(.badRequest, message, param: name, code: code)
    }

    /// A model that is none, or none of the caller's.
    static func unknownModel(_ name: String) -> HTTPFailure {
        HTTPFailure(
            .notFound,
            "the model \(PlainText.quoted(name)) does not exist, or is not yours to use",
            param: "model",
            code: "model_not_found"
        )
    }

    /// An answer that took too long.
    static let timeout = HTTPFailure(
        .gatewayTimeout,
        "the answer took longer than it may",
        type: "timeout_error",
        code: "timeout"
    )

    /// What of the gateway's errors a caller is told.
    init(_ error: any Error) {
        if let failure = error as? HTTPFailure {
            self = failure
        } else if let error = error as? RPCError {
            self.init(error)
        } else if let error = StoreError(error) {
            self.init(error.rpcError(isHandled: true))
        } else {
            self.init(
                .internalServerError,
                "something went wrong in the gateway; its log says what",
                type: "server_error",
                code: "internal_error"
            )
        }
    }

    private init(_ error: RPCError) {
        let server = "server_error"
        let seconds = error.retryAfter.map { max(1, Int(($0 / .seconds(1)).rounded(.up))) }
        let text = error.message
        switch error.code {
        case .invalidArgument, .outOfRange:
            self.init(.badRequest, text, param: error.violations.first?.path)
        case .unauthenticated:
            self.init(.unauthorized, text, code: "invalid_api_key")
        case .permissionDenied:
            self.init(.forbidden, text, type: "permission_error", code: "permission_denied")
        // Models are all that the front asks for by name.
        case .notFound: self.init(.notFound, text, param: "model", code: "model_not_found")
        case .alreadyExists, .failedPrecondition, .aborted:
            self.init(.conflict, text, code: "conflict")
        case .resourceExhausted:
            self.init(
                .tooManyRequests,
                text,
                type: "rate_limit_error",
                code: "rate_limit_exceeded",
                retryAfter: seconds ?? 1
            )
        case .deadlineExceeded: self = .timeout
        case .unimplemented: self.init(.notImplemented, text, code: "unimplemented")
        case .unavailable, .cancelled:
            self.init(
                .serviceUnavailable,
                text,
                type: server,
                code: "unavailable",
                retryAfter: seconds ?? 1
            )
        case .ok, .unknown, .internal, .dataLoss:
            self.init(
                .internalServerError,
                "something went wrong in the gateway; its log says what",
                type: server,
                code: "internal_error"
            )
        }
    }

    /// The body.
    var json: JSONValue {
        .object([
            "error": .object([
                "message": .string(message), "type": .string(type),
                "param": param.map { .string($0) } ?? .null,
                "code": code.map { .string($0) } ?? .null,
            ])
        ])
    }

    /// The headers that belong to it.
    var headers: HTTPFields {
        var fields = HTTPFields()
        if status == .unauthorized { fields[.wwwAuthenticate] = #"Bearer realm="qat""# }
        if let retryAfter { fields[.retryAfter] = "\(retryAfter)" }
        if !allowed.isEmpty { fields[.allow] = allowed.joined(separator: ", ") }
        return fields
    }
}
