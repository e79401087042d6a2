internal import Foundation

/// Wall seconds of `work`.
func timed(_ work: () throws -> Void) rethrows -> Double {
    let clock = ContinuousClock()
    let start = clock.now
    try work()
    let elapsed = clock.now - start
    return Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) * 1e-18
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
