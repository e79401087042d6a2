/// The one place where errors become wire statuses and back.
extension RPCError {
    private static let messageByteLimit = 1_024
    private static let violationByteLimit = 4_096

    /// The error as the frame that ends a call.
    package var status: CallStatus {
        let retryAfterMs = retryAfter.map {
            Int64(clamping: $0.components.seconds) * 1_000
                + $0.components.attoseconds / 1_000_000_000_000_000
        }
        var budget = Self.violationByteLimit
        let fitting = violations.prefix {
            budget -= $0.path.utf8.count + $0.description.utf8.count + 8
            return budget >= 0
        }
        return CallStatus(
            code: code.rawValue,
            category: category.rawValue,
            processed: processed.rawValue,
            retryAfterMs: retryAfterMs,
            message: Self.clipped(message),
            violations: Array(fitting)
        )
    }

    /// The error that `status` tells, or nil if it tells success.
    package init?(_ status: CallStatus) {
        guard status.code != Code.ok.rawValue else { return nil }
        self.init(
            Code(rawValue: status.code) ?? .unknown,
            status.message,
            category: Category(rawValue: status.category),
            processed: Processed(rawValue: status.processed) ?? .maybe,
            retryAfter: status.retryAfterMs.flatMap { $0 < 0 ? nil : .milliseconds($0) },
            violations: status.violations
        )
    }

    /// Any error a handler threw, as one that may leave the process.
    ///
    /// One that broke off, or broke, had come so far as nobody can tell.
    package init(handlerError error: any Error) {
        switch error {
        case let error as RPCError: self = error
        case is CancellationError:
            self.init(.cancelled, "the call was cancelled", processed: .maybe)
        default:
            self.init(.internal, FileFault.text(of: error), processed: .maybe, cause: error)
        }
    }

    private static func clipped(_ text: String) -> String {
        let safe = text.contains("\0") ? text.replacing("\0", with: "\u{FFFD}") : text
        guard safe.utf8.count > messageByteLimit else { return safe }
        var kept = safe.prefix(messageByteLimit - 3)
        while kept.utf8.count > messageByteLimit - 3 { kept.removeLast() }
        return kept + "…"
    }
}
