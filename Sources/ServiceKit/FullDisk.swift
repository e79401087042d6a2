internal import Foundation

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
