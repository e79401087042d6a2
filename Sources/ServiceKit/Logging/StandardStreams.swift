internal import Foundation
internal import Jobs

/// The process's output and error streams.
///
/// Foundation's handles end the process when a write fails: a log on a full disk would take the daemon
/// with it.
enum StandardStreams {
    /// Writes a line to the error stream, or loses it.
    ///
    /// It goes in one piece as far as the system allows, so that those of several threads stay whole.
    static func note(_ line: String) {
        _ = write(line, to: STDERR_FILENO)
    }

    /// Writes an error to the error stream: each of its lines of bounded length, whatever it quotes.
    static func complain(_ message: String) {
        let lines = message.split(separator: "\n", omittingEmptySubsequences: false)
        note(lines.map { PlainText.bounded(PlainText.escaped(String($0))) }.joined(separator: "\n"))
    }

    /// Writes lines to the output.
    ///
    /// - Returns: 0, or the error's number.
    static func print(_ text: String) -> Int32 { write(text, to: STDOUT_FILENO) }

    private static func write(_ text: String, to descriptor: Int32) -> Int32 {
        let bytes = Array((text + "\n").utf8)
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.write(descriptor, $0.baseAddress.map { $0 + start }, bytes.count - start)
            }
            guard count > 0 || (count < 0 && errno == EINTR) else { return errno }
            start += max(0, count)
        }
        return 0
    }
}
