internal import Foundation

/// Wall seconds of `work`.
func timed(_ work: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try work()
    let elapsed = clock.now - start
    return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
}

/// Seconds of processor time of all threads so far: what `work` takes of it on one thread is what it would
/// take on a machine of its own.
func processorSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
}

/// The middle value; the upper one of an even count.
func median(_ values: [Double]) -> Double {
    values.sorted()[values.count / 2]
}

/// The process's peak resident memory, in 10⁹ bytes.
func peakMemoryGB() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return Double(usage.ru_maxrss) * 1024 / 1e9
}

/// Prints one JSON object on a line, its keys in the given order.
func printJSON(_ members: [(String, Any)]) {
    let parts = members.map { key, value -> String in
        switch value {
        case let number as Double: "\"\(key)\": \(String(format: "%.6g", number))"
        case let text as String: "\"\(key)\": \"\(text)\""
        default: "\"\(key)\": \(value)"
        }
    }
    print("{" + parts.joined(separator: ", ") + "}")
}
