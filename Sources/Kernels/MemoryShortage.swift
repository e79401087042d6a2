#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// The end of a process that gets no more memory: nothing can go on, but it can be told why.
enum MemoryShortage {
    /// Ends the process with the words that the Swift runtime has for it, on standard error: whoever
    /// started it reads one sentence of both.
    static func end(asking byteCount: Int) -> Never {
        end(saying: "failed to allocate \(byteCount) bytes of memory")
    }

    /// Ends the process with a sentence.
    static func end(saying words: String) -> Never {
        var line = "Fatal error: \(words)\n"
        line.withUTF8 { _ = write(STDERR_FILENO, $0.baseAddress, $0.count) }
        abort()
    }
}
