internal import Foundation
internal import JobSpecs

/// A process, named so that a later one with the same number is not taken for it.
///
/// Beside the number stand the time at which the process started, in clock ticks since boot, and
/// the identifier of the boot.
struct ProcessIdentity: Sendable, Equatable {
    let processID: Int32
    let startTicks: UInt64
    let bootID: String

    /// This process.
    static var current: ProcessIdentity {
        ProcessIdentity(processID: getpid())
            ?? ProcessIdentity(processID: getpid(), startTicks: 0, bootID: currentBootID)
    }

    /// The process that has the number now; nil if there is none or it has ended.
    init?(processID: Int32) {
        guard let ticks = Self.startTicks(of: processID) else {
            return nil
        }
        self.init(processID: processID, startTicks: ticks, bootID: Self.currentBootID)
    }

    init(processID: Int32, startTicks: UInt64, bootID: String) {
        self.processID = processID
        self.startTicks = startTicks
        self.bootID = bootID
    }

    /// Reads what ``json`` wrote.
    init?(_ value: JSONValue?) {
        guard let pid = value?["pid"]?.integerValue, let processID = Int32(exactly: pid),
            processID > 0, let ticks = value?["start_ticks"]?.integerValue,
            let startTicks = UInt64(exactly: ticks), let bootID = value?["boot_id"]?.stringValue
        else {
            return nil
        }
        self.init(processID: processID, startTicks: startTicks, bootID: bootID)
    }

    var json: JSONValue {
        .object([
            "pid": .number(Double(processID)),
            "start_ticks": .number(Double(startTicks)),
            "boot_id": .string(bootID),
        ])
    }

    /// Whether this very process still runs; a zombie does not.
    var isRunning: Bool {
        bootID == Self.currentBootID && Self.startTicks(of: processID) == startTicks
    }

    /// Sends a signal, unless the process is gone.
    func send(_ signal: Int32) {
        if isRunning {
            kill(processID, signal)
        }
    }

    private static var currentBootID: String {
        let data = FileManager.default.contents(atPath: "/proc/sys/kernel/random/boot_id")
        let text = data.map { String(decoding: $0, as: UTF8.self) } ?? ""
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func startTicks(of processID: Int32) -> UInt64? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(processID)/stat") else {
            return nil
        }
        return startTicks(inStat: String(decoding: data, as: UTF8.self))
    }

    /// The start time in proc(5)'s `stat`, field 22; nil for a zombie.
    ///
    /// The name, field 2, may hold anything, parentheses included.
    static func startTicks(inStat stat: String) -> UInt64? {
        guard let nameEnd = stat.lastIndex(of: ")") else {
            return nil
        }
        let fields = stat[stat.index(after: nameEnd)...].split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else {
            return nil
        }
        return UInt64(fields[19])
    }
}
