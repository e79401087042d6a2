internal import JobSpecs
public import ServiceKit

/// A job's inputs as its submitter knows them, for messages: the place in the job file, and what is
/// written there, instead of paths of the worker.
public struct InputNames: Sendable {
    private struct Name {
        let path: String
        let place: String
        let written: String
    }

    /// Longer paths first: one may begin another.
    private let names: [Name]

    /// The names of a request's inputs.
    public init(_ request: ComputeRequest) {
        let document = try? JSONParser.parse(Array(request.spec.utf8)).value
        names = request.inputs.map { pointer, path in
            let place = JSONPath.path(ofPointer: pointer)
            let written = document?.value(at: pointer)?.stringValue ?? place
            return Name(path: path, place: place, written: written)
        }
        .sorted { ($1.path.utf8.count, $0.place) < ($0.path.utf8.count, $1.place) }
    }

    /// A message with the submitter's own names in place of local paths; the first that it holds also
    /// gives it its place, unless it names it already: `$.models[1].model: m.gguf: …`.
    public func replaced(in message: String) -> String {
        var text = message
        var place: String?
        for name in names where text.contains(name.path) {
            place = place ?? name.place
            text = text.replacing(name.path, with: name.written)
        }
        guard let place, !message.contains(place) else { return text }
        return "\(place): \(text)"
    }
}

extension JSONValue {
    /// The value at an RFC 6901 pointer made of plain words and indices.
    fileprivate func value(at pointer: String) -> JSONValue? {
        pointer.split(separator: "/").reduce(self) { value, step in
            Int(step).flatMap { index in
                value?.arrayValue.flatMap { $0.indices.contains(index) ? $0[index] : nil }
            } ?? value?[String(step)]
        }
    }
}
