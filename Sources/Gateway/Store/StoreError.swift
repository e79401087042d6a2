internal import DurableFiles
internal import Protocol
internal import ServiceKit

/// Why the store refuses something.
struct StoreError: Error, Sendable, CustomStringConvertible {
    /// Kinds of refusal.
    enum Code: Sendable {
        /// The database cannot be trusted or opened.
        case unusable
        case notFound
        case alreadyExists
        case invalidState
        case missingArtifacts
        case invalidArgument
        case corrupt
        case noSpace
        case tooLarge
        /// Too many at once; the same call may succeed later.
        case busy
        /// More than a user may have.
        case quota
        /// The gateway is going away; the next one will answer.
        case stopping
        /// The database, or the artifacts, cannot be read or written at this moment; somebody must do something
        /// about it.
        case outOfOrder
    }

    let code: Code
    let message: String

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    var description: String { message }

    /// What another error means to callers, where it is the disk's or the database's state, not theirs.
    init?(_ error: any Error) {
        if let known = error as? StoreError ?? Self.ofSQLite(error) {
            self = known
        } else if error.isFullDisk {
            self = .fullDisk
        } else {
            return nil
        }
    }

    /// Runs what writes files; its errors become the store's: what a disk refuses now, somebody can mend.
    static func ofFiles<Value>(
        _ body: () throws(DurableFileError) -> Value
    ) throws(StoreError) -> Value {
        do throws(DurableFileError) {
            return try body()
        } catch {
            throw StoreError(error.isFull ? .noSpace : .outOfOrder, error.description)
        }
    }

    /// An error as a sentence for a log: what the disk or the database says, with what to do.
    static func sentence(of error: any Error) -> String {
        StoreError(error)?.message ?? "\(error)"
    }

    static let fullDisk = StoreError(.noSpace, "the gateway's disk is full")

    /// The same, as a call's failure.
    ///
    /// `isHandled`: Whether a handler ended with it, of which a repetition would do the same. Of what may pass,
    /// clients are to try again; and of what a database that cannot be read answers nobody knows what it would
    /// have been otherwise, nor whether what was asked for is done already.
    func rpcError(isHandled: Bool = false) -> RPCError {
        let code: RPCError.Code =
            switch code {
            case .unusable, .corrupt: .dataLoss
            case .notFound: .notFound
            case .alreadyExists: .alreadyExists
            case .invalidState, .missingArtifacts: .failedPrecondition
            case .invalidArgument: .invalidArgument
            // Somebody can make room: worth trying later.
            case .noSpace, .stopping, .outOfOrder: .unavailable
            case .tooLarge: .invalidArgument
            case .busy: .aborted
            case .quota: .resourceExhausted
            }
        let isAnswer = ![.unavailable, .aborted, .dataLoss].contains(code)
        return RPCError(code, message, processed: isHandled && isAnswer ? .yes : .maybe)
    }
}
