internal import Foundation

/// Texts as C takes lists of them: pointers, the last of which is null.
final class CStrings {
    private let pointers: UnsafeMutableBufferPointer<UnsafeMutablePointer<CChar>?>

    /// Copies of texts, which live as long as this does.
    init(_ texts: [String]) {
        pointers = .allocate(capacity: texts.count + 1)
        pointers.initialize(repeating: nil)
        for (index, text) in texts.enumerated() { pointers[index] = strdup(text) }
    }

    deinit {
        for pointer in pointers { free(pointer) }
        pointers.deallocate()
    }

    /// For what takes `char *const *`.
    var list: UnsafePointer<UnsafeMutablePointer<CChar>?>? { UnsafePointer(pointers.baseAddress) }

    /// For what takes `const char *const *`.
    var constantList: UnsafePointer<UnsafePointer<CChar>?>? {
        list.map {
            UnsafeRawPointer($0).assumingMemoryBound(to: UnsafePointer<CChar>?.self)
        }
    }
}
