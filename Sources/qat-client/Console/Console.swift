internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Synchronization

/// The process's standard streams: results go to the output, everything else to the error stream.
enum Console {
    /// Whether the output is a terminal.
    static var isTerminal: Bool { isatty(STDOUT_FILENO) == 1 }
    /// Whether the error stream is a terminal on which a line can be replaced.
    static var showsNotesOnTerminal: Bool { isatty(STDERR_FILENO) == 1 && obeysControls() }
    /// Whether the output is one.
    static var showsLiveLine: Bool { isTerminal && obeysControls() }

    /// Whether a terminal does more than show what it gets: those of editors, say, do not.
    static func obeysControls(
        _ environment: [String: String] = ProcessInfo.processInfo.environment
    ) -> Bool {
        environment["TERM"] != "dumb"
    }

    /// The width of the output's terminal in columns, as it is now.
    static var columns: Int { columns(of: STDOUT_FILENO) }
    /// That of the error stream's.
    static var noteColumns: Int { columns(of: STDERR_FILENO) }

    private static func columns(of descriptor: Int32) -> Int {
        var size = winsize()
        let isKnown = ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0 && size.ws_col > 0
        return isKnown ? Int(size.ws_col) : 100
    }

    /// Whether a line stands on the error stream's terminal that the next one replaces.
    private static let isNoteOpen = Mutex(false)

    private static let clearLine = "\r\u{1B}[K"

    /// What tables have to fit in; nil where the output is no terminal.
    static var tableColumns: Int? { isTerminal ? columns : nil }

    /// Writes lines to the output; what a terminal would obey in them is written out.
    static func print(_ text: String) {
        closeNote()
        write(TerminalText.lines(text) + "\n", to: STDOUT_FILENO)
    }

    /// Writes a piece of a text to the output; what a terminal would obey in it is written out.
    static func stream(_ text: String) {
        closeNote()
        write(TerminalText.lines(text), to: STDOUT_FILENO)
    }

    /// Writes a value as one line of JSON to the output; what a terminal would obey is `\u….`.
    static func print(_ value: JSONValue) {
        closeNote()
        write(TerminalText.json(value) + "\n", to: STDOUT_FILENO)
    }

    /// Writes bytes to the output as they are.
    static func write(_ bytes: [UInt8]) {
        closeNote()
        write(bytes, to: STDOUT_FILENO)
    }

    /// Writes lines to the error stream, safe and of bounded length.
    static func note(_ text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map {
            PlainText.bounded(TerminalText.line(String($0)))
        }
        closeNote()
        write(lines.joined(separator: "\n") + "\n", to: STDERR_FILENO)
    }

    /// Rewrites the current line of the error stream.
    static func overwriteNote(_ text: String) {
        isNoteOpen.withLock { $0 = !text.isEmpty }
        write(clearLine + text, to: STDERR_FILENO)
    }

    /// Takes away what stands to be rewritten, before anything else is printed.
    private static func closeNote() {
        let wasOpen = isNoteOpen.withLock { isOpen in
            defer { isOpen = false }
            return isOpen
        }
        if wasOpen { write(clearLine, to: STDERR_FILENO) }
    }

    /// Writes errors, each on its line; of very many the first ones.
    static func complain(_ lines: [String]) {
        for line in lines.prefix(complaintLimit) {
            note("qat-client: error: \(TerminalText.line(line))")
        }
        if lines.count > complaintLimit {
            note("qat-client: error: and \(lines.count - complaintLimit) more")
        }
    }

    /// Errors that are printed; a file may have as many faults as it has lines.
    private static let complaintLimit = 50

    /// What became of the output.
    private struct Output {
        /// Whether the work goes on when it cannot be written.
        var goesOn = false
        /// Whether nothing is written to it any more.
        var isClosed = false
        /// Whether something of it is lost that somebody wanted to have.
        var isLost = false
    }

    private static let output = Mutex(Output())

    /// From now on the process does not end where its output cannot be written.
    static func goOnWithoutOutput() { output.withLock { $0.goesOn = true } }

    /// Whether something could not be written that somebody wanted to have: no success.
    static var hasLostOutput: Bool { output.withLock { $0.isLost } }

    /// Whether everything that was printed so far was taken, be it by a pipe.
    static var isOutputWhole: Bool { output.withLock { !$0.isClosed } }

    /// Ends the process if its output cannot be written and there is nothing else to do; what a full disk cut
    /// off is no success.
    private static func giveUp(_ descriptor: Int32, _ code: Int32) {
        // Without an error stream there is nobody to tell.
        guard descriptor == STDOUT_FILENO else {
            return
        }
        let goesOn = output.withLock { output in
            guard output.goesOn else { return false }
            output.isClosed = true
            output.isLost = code != EPIPE
            return true
        }
        if goesOn {
            guard code != EPIPE else { return }
            return complain([
                "cannot write the output: \(String(cString: strerror(code))); the work goes on without"
            ])
        }
        // Nobody reads any more, as after `| head`: there is nothing left to do.
        guard code != EPIPE else {
            exit(ExitStatus.succeeded.rawValue)
        }
        complain(["cannot write the output: \(String(cString: strerror(code)))"])
        exit(ExitStatus.failed.rawValue)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        write(Array(text.utf8), to: descriptor)
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        guard descriptor != STDOUT_FILENO || !output.withLock({ $0.isClosed }) else { return }
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
