internal import ComputeKit
internal import Foundation
internal import ServiceKit

/// What was measured while a job trained, in order of the steps.
///
/// It is kept with the job's checkpoints, so that an attempt elsewhere goes on with it, and written beside the
/// model at the end. It stays small however long a run takes: beyond ``limit`` rows of steps, or of validations,
/// or ``layerLimit`` of layers' figures, those that stay are half as many, spread evenly over the run. Of a training
/// for several formats each has so many.
struct RunHistory: Equatable {
    /// What was measured at one step, in one format.
    struct Row: Equatable {
        var step: Int
        /// Seconds since 1970.
        var time: Double
        /// The formats in force; nil of a validation.
        var stage: String? = nil
        /// Of a training for several formats the one that all of this is of.
        var format: String? = nil
        /// What is not finite is left out.
        var values: [RunFigure: Double]
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

    /// Whether rows are of several formats.
    var hasFormats: Bool { rows.contains { $0.format != nil } }

    /// Adds what was measured.
    mutating func append(_ row: Row) {
        var row = row
        row.values = row.values.filter(\.value.isFinite)
        rows.append(row)
        if row.layers != nil { thinLayers(of: row.format) }
        let isStep = row.stage != nil
        thinRows { ($0.stage != nil) == isStep && $0.format == row.format }
    }

    private mutating func thinLayers(of format: String?) {
        let places = rows.indices.filter { rows[$0].layers != nil && rows[$0].format == format }
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

/// A member of a row's JSON: what it is of, or a figure.
struct RowKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(name: String) { stringValue = name }
    init(_ figure: RunFigure) { stringValue = figure.rawValue }
    init?(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }

    static let step = RowKey(name: "step")
    static let time = RowKey(name: "time")
    static let stage = RowKey(name: "stage")
    static let format = RowKey(name: "format")
    static let layers = RowKey(name: "layers")
}

extension RunHistory.Row: Encodable {
    /// One flat object, as in `{"step": 10, "loss": 0.4, …}`.
    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: RowKey.self)
        try container.encode(step, forKey: .step)
        try container.encode(time, forKey: .time)
        try container.encodeIfPresent(stage, forKey: .stage)
        try container.encodeIfPresent(format, forKey: .format)
        try container.encodeIfPresent(layers, forKey: .layers)
        for (figure, value) in values { try container.encode(value, forKey: RowKey(figure)) }
    }
}

/// A line of the records: a row, or several, for earlier versions wrote validations in several formats as
/// `{"step": 20, "validation_perplexity.mxfp8": 41.5, "validation_perplexity.mxfp4": 43.5}`.
private struct RecordLine: Decodable {
    let rows: [RunHistory.Row]

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: RowKey.self)
        let row = RunHistory.Row(
            step: try container.decode(Int.self, forKey: .step),
            time: try container.decode(Double.self, forKey: .time),
            stage: try container.decodeIfPresent(String.self, forKey: .stage),
            format: try container.decodeIfPresent(String.self, forKey: .format),
            values: [:],
            layers: try container.decodeIfPresent([String: LayerFigures].self, forKey: .layers)
        )
        var values: [String?: [RunFigure: Double]] = [:]
        for key in container.allKeys {
            let parts = key.stringValue.split(separator: ".", maxSplits: 1).map(String.init)
            guard let name = parts.first, let figure = RunFigure(rawValue: name) else { continue }
            let format = parts.count > 1 ? parts[1] : row.format
            values[format, default: [:]][figure] = try container.decode(Double.self, forKey: key)
        }
        if values.isEmpty || row.layers != nil, values[row.format] == nil {
            values[row.format] = [:]
        }
        rows = values.sorted { ($0.key ?? "") < ($1.key ?? "") }.map { format, values in
            var part = row
            part.format = format
            part.values = values
            if format != row.format { part.layers = nil }
            return part
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
                rows += try decoder.decode(RecordLine.self, from: line).rows
            }
        }
    }

    private struct Warned: Codable {
        let warned: [String]
    }
}
