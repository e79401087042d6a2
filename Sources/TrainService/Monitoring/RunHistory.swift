internal import ComputeKit
internal import Foundation
internal import ServiceKit

/// What was measured while a job trained, in order of the steps.
///
/// It is kept with the job's checkpoints, so that an attempt elsewhere goes on with it, and written beside the
/// model at the end. It stays small however long a run takes: beyond ``limit`` rows of steps, or of validations,
/// or ``layerLimit`` of layers' figures, those that stay are half as many, spread evenly over the run.
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

    /// Rows of steps that are kept, and as many of validations.
    static let limit = 20_000
    /// Rows whose layers' figures are kept.
    static let layerLimit = 100

    private(set) var rows: [Row] = []
    /// What was warned of, by names that ``LayerWarnings`` gives: it is not said again by another attempt.
    var warned: Set<String> = []

    /// Adds what was measured.
    mutating func append(_ row: Row) {
        var row = row
        row.values = row.values.filter(\.value.isFinite)
        rows.append(row)
        if row.layers != nil { thinLayers() }
        let isStep = row.stage != nil
        thinRows { ($0.stage != nil) == isStep }
    }

    private mutating func thinLayers() {
        let places = rows.indices.filter { rows[$0].layers != nil }
        let kept = Set(spread(places, Self.layerLimit))
        for place in places where !kept.contains(place) { rows[place].layers = nil }
    }

    private mutating func thinRows(_ isOfKind: (Row) -> Bool) {
        // Until then nothing is left out.
        guard rows.count > Self.limit / 2 else { return }
        let places = rows.indices.filter { isOfKind(rows[$0]) }
        let kept = Set(spread(places, Self.limit))
        guard kept.count < places.count else { return }
        rows = rows.indices.filter { !isOfKind(rows[$0]) || kept.contains($0) }.map { rows[$0] }
    }

    /// Which of some places stay, `limit` at most, the first and the newest among them.
    ///
    /// Beyond the limit every second goes. From then on what comes is held to the same distance, which the
    /// first two have: otherwise a run's beginning would be halved again and again, and its end be whole.
    private func spread(_ places: [Int], _ limit: Int) -> [Int] {
        guard places.count > 2 else { return places }
        func distance(_ first: Int, _ second: Int) -> Int {
            rows[places[second]].step - rows[places[first]].step
        }
        var kept = places
        let newest = places.count - 1
        if places.count > limit / 2, distance(newest - 2, newest - 1) < distance(0, 1) {
            kept.remove(at: newest - 1)
        }
        guard kept.count > limit else { return kept }
        return kept.dropLast().enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)
            + kept.suffix(1)
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

    /// What a checkpoint keeps: a line of what was warned of before the rows.
    func stored() throws -> Data {
        try ResultJSON.data(Warned(warned: warned.sorted())) + [UInt8(ascii: "\n")] + jsonLines()
    }

    /// Reads what ``stored()`` or ``jsonLines()`` wrote.
    ///
    /// - Throws: `DecodingError` if a line is none of it.
    init(jsonLines data: Data) throws {
        let decoder = JSONDecoder()
        for line in data.split(separator: UInt8(ascii: "\n")) {
            if rows.isEmpty, let found = try? decoder.decode(Warned.self, from: line) {
                warned = Set(found.warned)
            } else {
                rows.append(try decoder.decode(Row.self, from: line))
            }
        }
    }

    private struct Warned: Codable {
        let warned: [String]
    }
}
