/// Why a call failed: the one public error of this module.
public struct RPCError: Error, Sendable {
    /// What kind of failure it is; numbered as gRPC numbers its status codes.
    public enum Code: UInt32, Sendable, CaseIterable {
        /// No failure; never thrown.
        case ok = 0
        /// The caller gave up.
        case cancelled = 1
        /// A failure of unknown kind.
        case unknown = 2
        /// The request is wrong whatever the state of the system.
        case invalidArgument = 3
        /// The time given to the call ran out.
        case deadlineExceeded = 4
        /// What the request names does not exist.
        case notFound = 5
        /// What the request would create exists already.
        case alreadyExists = 6
        /// The caller is known and may not do this.
        case permissionDenied = 7
        /// A quota, limit or disk is exhausted.
        case resourceExhausted = 8
        /// The system is not in the state that the request needs.
        case failedPrecondition = 9
        /// A concurrent change won.
        case aborted = 10
        /// A position lies outside the valid range.
        case outOfRange = 11
        /// The method or feature does not exist here.
        case unimplemented = 12
        /// A broken promise of the program's own.
        case `internal` = 13
        /// The other side cannot be reached or takes no calls now.
        case unavailable = 14
        /// Stored or sent data is corrupt.
        case dataLoss = 15
        /// The caller is not known.
        case unauthenticated = 16
    }

    /// What the caller should do about it.
    public enum Category: UInt32, Sendable, CaseIterable {
        /// Repeating the call fails again.
        case permanent = 1
        /// The same call may succeed later.
        case retryLater = 2
        /// The call may succeed on another connection.
        case reconnect = 3
        /// The other side lacks the feature.
        case unimplemented = 4
    }

    /// Whether the call's handler ran and came to an answer.
    public enum Processed: UInt32, Sendable, CaseIterable {
        /// It certainly did not run.
        case no = 1
        /// Nobody can tell, or it did not come to its end.
        case maybe = 2
        /// It did.
        case yes = 3
    }

    /// What kind of failure it is.
    public var code: Code
    /// What happened, the numbers, and what to do.
    public var message: String
    /// What the caller should do about it.
    public var category: Category
    /// Whether the call's handler ran, in any of its attempts, and came to an answer.
    public var processed: Processed
    /// How long to wait before trying again, when the other side said so.
    public var retryAfter: Duration?
    /// The fields of the request that were refused.
    public var violations: [FieldViolation]
    /// The error underneath; it does not travel.
    public var cause: (any Error)?

    /// Makes an error; the category follows from the code unless given.
    public init(
        _ code: Code,
        _ message: String,
        category: Category? = nil,
        processed: Processed = .maybe,
        retryAfter: Duration? = nil,
        violations: [FieldViolation] = [],
        cause: (any Error)? = nil
    ) {
        self.code = code
        self.message = message
        self.category = category ?? Self.usualCategory(of: code)
        self.processed = processed
        self.retryAfter = retryAfter
        self.violations = violations
        self.cause = cause
    }

    private static func usualCategory(of code: Code) -> Category {
        switch code {
        case .unavailable, .resourceExhausted, .aborted, .deadlineExceeded: .retryLater
        case .unimplemented: .unimplemented
        default: .permanent
        }
    }
}

extension RPCError: CustomStringConvertible {
    /// The code and the message.
    public var description: String {
        let fields = violations.map { " [\($0.path): \($0.description)]" }.joined()
        return "\(code): \(message)\(fields)"
    }
}
