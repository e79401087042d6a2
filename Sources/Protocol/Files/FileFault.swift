internal import Foundation

/// What the system says of a file that cannot be used, in words: Foundation's errors describe themselves
/// as dumps of their fields.
public struct FileFault: Sendable, Equatable, CustomStringConvertible {
    /// The file or folder; nil if the error does not say.
    public let path: String?
    /// Why, in the system's words: `No space left on device`.
    public let reason: String

    /// Reads an error; nil of errors that are not the system's.
    public init?(_ error: any Error) {
        let error = error as NSError
        guard let reason = Self.reason(error) else { return nil }
        self.reason = reason
        path = Self.path(error)
    }

    /// `PATH: REASON`, or the reason alone.
    public var description: String { path.map { "\($0): \(reason)" } ?? reason }

    /// An error in words: the system's as ``description``, others as they say it themselves.
    public static func text(of error: any Error) -> String {
        FileFault(error)?.description ?? "\(error)"
    }

    private static func reason(_ error: NSError) -> String? {
        if error.domain == NSPOSIXErrorDomain {
            return String(cString: strerror(Int32(truncatingIfNeeded: error.code)))
        }
        if let inner = error.userInfo[NSUnderlyingErrorKey] as? NSError, let found = reason(inner) {
            return found
        }
        guard error.domain == NSCocoaErrorDomain else { return nil }
        // The codes that Foundation makes of `errno` on its own.
        let number: Int32? =
            switch CocoaError.Code(rawValue: error.code) {
            case .fileNoSuchFile, .fileReadNoSuchFile: ENOENT
            case .fileReadNoPermission, .fileWriteNoPermission: EACCES
            case .fileWriteOutOfSpace: ENOSPC
            case .fileWriteFileExists: EEXIST
            case .fileWriteVolumeReadOnly: EROFS
            case .fileReadInvalidFileName, .fileWriteInvalidFileName: ENAMETOOLONG
            case .fileReadTooLarge: EFBIG
            case .fileReadUnknown, .fileWriteUnknown: EIO
            default: nil
            }
        return number.map { String(cString: strerror($0)) }
    }

    private static func path(_ error: NSError) -> String? {
        if let path = error.userInfo[NSFilePathErrorKey] as? String { return path }
        if let url = error.userInfo[NSURLErrorKey] as? URL {
            return url.path(percentEncoded: false)
        }
        return (error.userInfo[NSUnderlyingErrorKey] as? NSError).flatMap(path)
    }
}

/// The cause of an error that says of a file or folder that it could not be written, and not that it is wrong.
public struct UnwrittenFile: Error, Sendable, Equatable {
    /// The file or folder.
    public let path: String
    /// Why, in the system's words.
    public let reason: String
}

extension Error {
    /// Whether the disk, or what somebody may have of it, is full.
    public var isFullDisk: Bool {
        let error = self as NSError
        switch error.domain {
        case NSCocoaErrorDomain where error.code == CocoaError.Code.fileWriteOutOfSpace.rawValue:
            return true
        case NSPOSIXErrorDomain where [ENOSPC, EDQUOT].contains(Int32(error.code)):
            return true
        default:
            return (error.userInfo[NSUnderlyingErrorKey] as? NSError)?.isFullDisk ?? false
        }
    }
}
