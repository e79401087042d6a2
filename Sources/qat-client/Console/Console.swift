internal import Foundation
internal import JobSpecs

/// The process's standard streams: results go to the output, everything else to the error stream.
enum Console {
    /// Whether the output is a terminal.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    /// Whether the error stream is a terminal.
    static var showsNotesOnTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// The width of the terminal in columns, as it is now.
    static var columns: Int {
        var size = winsize()
        let isKnown = ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return isKnown ? Int(size.ws_col) : 100
    }

    /// What tables have to fit in; nil where the output is no terminal.
    static var tableColumns: Int? { isTerminal ? columns : nil }

    /// Writes a line to the output.
    static func print(_ text: String) {
        write(Array(text.utf8) + [UInt8(ascii: "\n")], to: STDOUT_FILENO)
    }

    /// Writes a value as one line of JSON to the output.
    static func print(_ value: JSONValue) {
        write(value.canonicalBytes + [UInt8(ascii: "\n")], to: STDOUT_FILENO)
    }

    /// Writes bytes to the output as they are.
    static func write(_ bytes: [UInt8]) {
        write(bytes, to: STDOUT_FILENO)
    }

    /// Writes a line to the error stream.
    static func note(_ text: String) {
        write(Array(text.utf8) + [UInt8(ascii: "\n")], to: STDERR_FILENO)
    }

    /// Rewrites the current line of the error stream.
    static func overwriteNote(_ text: String) {
        write(Array("\r\u{1B}[K\(text)".utf8), to: STDERR_FILENO)
    }

    /// Writes errors, each on its line.
    static func complain(_ lines: [String]) {
        for line in lines {
            note("qat-client: error: \(line)")
        }
    }

    /// Ends the process if its output cannot be written; what a full disk cut off is no success.
    private static func giveUp(_ descriptor: Int32, _ code: Int32) {
        // Without an error stream there is nobody to tell.
        guard descriptor == STDOUT_FILENO else {
            return
        }
        // Nobody reads any more, as after `| head`: there is nothing left to do.
        guard code != EPIPE else {
            exit(ExitStatus.succeeded.rawValue)
        }
        complain(["cannot write the output: \(String(cString: strerror(code)))"])
        exit(ExitStatus.failed.rawValue)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var start = 0
        while start < bytes.count {
            let count = bytes.withUnsafeBytes {
                Foundation.write(descriptor, $0.baseAddress.map { $0 + start }, bytes.count - start)
            }
            if count < 0 {
                guard errno == EINTR || errno == EAGAIN else {
                    return giveUp(descriptor, errno)
                }
                continue
            }
            start += count
        }
    }
}
