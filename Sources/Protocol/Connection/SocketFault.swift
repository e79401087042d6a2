internal import Foundation
internal import NIOCore

/// What went wrong with a socket, in words for people.
enum SocketFault {
    /// The system's words for its own errors, without the function in which they came up; others describe
    /// themselves.
    static func text(of error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        return String(cString: strerror(error.errnoCode))
    }
}
