internal import ComputeKit
internal import Foundation
internal import ServiceKit

/// What was measured while a job trained, in order of the steps.
///
/// It is kept with the job's checkpoints, so that an attempt elsewhere goes on with it, and written beside the
/// model at the end. It stays small however long a run takes: beyond ``limit`` rows every second of what steps
/// measured is left out, and of the layers' figures beyond ``layerLimit``.
struct RunHistory: Equatable {
    /// What was measured at one step.
    struct Row: Equatable {
        var step: Int
        /// Seconds since 1970.
        var time: Double
        /// The formats in force; nil of a validation.
        var stage: String? = nil
        /// Figures by name, as `loss`; what is not finite is left out.
        var values: [String: Double]
        /// Figures by module; nil where none were taken, or they are left out.
        var layers: [String: LayerFigures]? = nil
    }

    /// Rows that are kept.
    static let limit = 20_000
    /// Rows whose layers' figures are kept.
    static let layerLimit = 100

    private(set) var rows: [Row] = []

    /// Adds what was measured.
    mutating func append(_ row: Row) {
        var row = row
        row.values = row.values.filter(\.value.isFinite)
        rows.append(row)
        if rows.count(where: { $0.layers != nil }) > Self.layerLimit { thinLayers() }
        if rows.count > Self.limit { thinRows() }
    }

    private mutating func thinLayers() {
        let places = rows.indices.filter { rows[$0].layers != nil }
        // The first and the newest stay.
        for (order, place) in places.dropLast().enumerated() where order % 2 == 1 {
            rows[place].layers = nil
        }
    }

    private mutating func thinRows() {
        var count = 0
        rows = rows.enumerated().filter { place, row in
            guard row.stage != nil, place < rows.count - 1 else { return true }
            count += 1
            return count % 2 == 1
        }.map(\.element)
    }
}

extension RunHistory.Row: Codable {
    private struct Key: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }

        static let step = Key(stringValue: "step")
        static let time = Key(stringValue: "time")
        static let stage = Key(stringValue: "stage")
        static let layers = Key(stringValue: "layers")
        static let known = Set([step, time, stage, layers].map(\.stringValue))
    }

    /// One flat object, as in `{"step": 10, "loss": 0.4, …}`.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(step, forKey: .step)
        try container.encode(time, forKey: .time)
        try container.encodeIfPresent(stage, forKey: .stage)
        try container.encodeIfPresent(layers, forKey: .layers)
        for (name, value) in values { try container.encode(value, forKey: Key(stringValue: name)) }
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        step = try container.decode(Int.self, forKey: .step)
        time = try container.decode(Double.self, forKey: .time)
        stage = try container.decodeIfPresent(String.self, forKey: .stage)
        layers = try container.decodeIfPresent(
            [String: LayerFigures].self,
            forKey: .layers
        )
        values = [:]
        for key in container.allKeys where !Key.known.contains(key.stringValue) {
            values[key.stringValue] = try container.decode(Double.self, forKey: key)
        }
    }
}

extension RunHistory {
    /// One JSON object per line.
    func jsonLines() throws -> Data {
        var text = Data()
        for row in rows {
            text += try ResultJSON.data(row)
            text.append(UInt8(ascii: "\n"))
        }
        return text
    }

    /// Reads what ``jsonLines()`` wrote.
    ///
    /// - Throws: `DecodingError` if a line is none of it.
    init(jsonLines data: Data) throws {
        let decoder = JSONDecoder()
        rows = try data.split(separator: UInt8(ascii: "\n")).map {
            try decoder.decode(Row.self, from: $0)
        }
    }
}
