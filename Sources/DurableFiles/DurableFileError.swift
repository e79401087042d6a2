public import Foundation

/// What the system says of a file that cannot be written durably.
///
/// As an `NSError` it is of the POSIX domain and names the file, as Foundation's own are.
public struct DurableFileError: Error, Sendable, Equatable, CustomNSError, CustomStringConvertible {
    /// The file or folder.
    public let path: String
    /// What was tried: `create`, `fsync`.
    public let action: String
    /// The system's number.
    public let number: Int32

    /// The error of a call that failed just now, by `errno`.
    init(_ action: String, _ path: String, number: Int32 = errno) {
        self.path = path
        self.action = action
        self.number = number
    }

    /// Whether the disk, or what somebody may have of it, is full.
    public var isFull: Bool { number == ENOSPC || number == EDQUOT }

    /// `PATH: ACTION: REASON`.
    public var description: String { "\(path): \(action): \(String(cString: strerror(number)))" }

    /// The POSIX domain.
    public static var errorDomain: String { NSPOSIXErrorDomain }
    /// The system's number.
    public var errorCode: Int { Int(number) }
    /// The file's path.
    public var errorUserInfo: [String: Any] { [NSFilePathErrorKey: path] }
}
