internal import Foundation

/// A run's figures as TensorBoard reads them: an event file of records, each a protocol buffer `tensorflow.Event`.
///
/// A record is its length (8 bytes, little-endian), the masked CRC-32C of these, the event, and the masked CRC-32C
/// of it (TensorFlow's `record_writer.h`). Events hold scalars by name, and of the layers' figures their
/// distribution over the layers as a histogram. Names of what each of several formats has end with the format.
struct TensorBoardFile {
    private var bytes: [UInt8] = []

    /// The file of a run.
    ///
    /// - Parameter history: Rows in order.
    init(_ history: RunHistory) {
        let start = history.rows.first?.time ?? 0
        add(Event(time: start, step: 0, body: .version))
        for row in history.rows {
            let scalars = row.values.sorted { $0.key.rawValue < $1.key.rawValue }.map {
                Summary.scalar(tag: $0.key.tag(in: row.format), value: Float($0.value))
            }
            let histograms = Self.histograms(row)
            guard !scalars.isEmpty || !histograms.isEmpty else { continue }
            add(Event(time: row.time, step: row.step, body: .summary(scalars + histograms)))
        }
    }

    /// The whole file.
    var data: Data { Data(bytes) }

    private static func histograms(_ row: RunHistory.Row) -> [Summary] {
        let suffix = row.format.map { ".\($0)" } ?? ""
        return LayerFigure.allCases.filter { $0.display == .histogram }.compactMap { figure in
            let values = (row.layers ?? [:]).values.compactMap { $0[figure] }.sorted()
            let tag = "layers/\(figure.name)\(suffix)"
            return values.isEmpty ? nil : .histogram(tag: tag, values: values)
        }
    }

    private mutating func add(_ event: Event) {
        let record = event.encoded
        let length = withUnsafeBytes(of: UInt64(record.count).littleEndian, Array.init)
        bytes += length + Self.masked(length) + record + Self.masked(record)
    }

    private static func masked(_ bytes: [UInt8]) -> [UInt8] {
        let sum = CRC32C.checksum(bytes)
        let masked = (sum >> 15 | sum << 17) &+ 0xA282_EAD8
        return withUnsafeBytes(of: masked.littleEndian, Array.init)
    }
}

/// An event, and how TensorFlow's `event.proto` numbers its fields.
private struct Event {
    enum Body {
        case version
        case summary([Summary])
    }

    let time: Double
    let step: Int
    let body: Body

    var encoded: [UInt8] {
        var message = ProtobufMessage()
        message.add(1, time)
        message.add(2, step)
        switch body {
        case .version: message.add(3, Array("brain.Event:2".utf8))
        case .summary(let values):
            var summary = ProtobufMessage()
            for value in values { summary.add(1, value.encoded) }
            message.add(5, summary.bytes)
        }
        return message.bytes
    }
}

/// One value of an event (`summary.proto`).
private enum Summary {
    case scalar(tag: String, value: Float)
    /// Sorted values, at least one.
    case histogram(tag: String, values: [Double])

    private static let bucketCount = 30

    var encoded: [UInt8] {
        var message = ProtobufMessage()
        switch self {
        case .scalar(let tag, let value):
            message.add(1, Array(tag.utf8))
            message.add(2, alternative: value)
        case .histogram(let tag, let values):
            message.add(1, Array(tag.utf8))
            message.add(5, Self.histogram(values))
        }
        return message.bytes
    }

    private static func histogram(_ values: [Double]) -> [UInt8] {
        let (low, high) = (values[0], values[values.count - 1])
        let width = (high - low) / Double(bucketCount)
        // One bucket where all are the same.
        let limits =
            width > 0
            ? (1...bucketCount).map { $0 == bucketCount ? high : low + width * Double($0) } : [high]
        var counts = [Double](repeating: 0, count: limits.count)
        for value in values {
            counts[limits.firstIndex { value <= $0 } ?? limits.count - 1] += 1
        }
        var message = ProtobufMessage()
        message.add(1, low)
        message.add(2, high)
        message.add(3, Double(values.count))
        message.add(4, values.reduce(0, +))
        message.add(5, values.reduce(0) { $0 + $1 * $1 })
        message.add(6, packed: limits)
        message.add(7, packed: counts)
        return message.bytes
    }
}

/// The encoding of a protocol buffer, as far as events need it; numbers that are 0 are left out, as proto3 does.
private struct ProtobufMessage {
    private(set) var bytes: [UInt8] = []

    mutating func add(_ field: Int, _ value: Double) {
        guard value != 0 else { return }
        varint(UInt64(field << 3 | 1))
        bytes += withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
    }

    /// One of several alternatives, which is written whatever it is.
    mutating func add(_ field: Int, alternative value: Float) {
        varint(UInt64(field << 3 | 5))
        bytes += withUnsafeBytes(of: value.bitPattern.littleEndian, Array.init)
    }

    mutating func add(_ field: Int, _ value: Int) {
        guard value != 0 else { return }
        varint(UInt64(field << 3))
        varint(UInt64(bitPattern: Int64(value)))
    }

    mutating func add(_ field: Int, _ value: [UInt8]) {
        varint(UInt64(field << 3 | 2))
        varint(UInt64(value.count))
        bytes += value
    }

    mutating func add(_ field: Int, packed values: [Double]) {
        add(field, values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, Array.init) })
    }

    private mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}
