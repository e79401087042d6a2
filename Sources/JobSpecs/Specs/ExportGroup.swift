public import Formats

/// The exports of a model in one of the formats that a training is for.
public struct ExportGroup: Sendable, Equatable {
    /// An element of the job's `export` list.
    public struct Element: Sendable, Equatable {
        /// Its position there; 0 of what a job gets that has no list.
        public let index: Int
        /// What it asks for.
        public let options: ExportOptions

        static func list(_ exports: [ExportOptions]) -> [Element] {
            (exports.isEmpty ? ExportOptions.usual : exports).enumerated().map {
                Element(index: $0.offset, options: $0.element)
            }
        }
    }

    /// The recipe's turn whose format they have; 0 of a job for one format.
    public let turn: Int
    /// The format's name; nil of a job for one.
    public let precision: String?
    /// The folder of the first that is written, `model` or `model-mxfp4`.
    ///
    /// A further one has its form's name behind it: `model-gguf`, `model-mxfp4-gguf`.
    public let folder: String
    /// In the list's order; at least one.
    public let elements: [Element]

    /// The exports of a job for one format; without any, one that may be skipped.
    public init(_ exports: [ExportOptions]) {
        self.init(turn: 0, precision: nil, folder: "model", elements: Element.list(exports))
    }

    init(turn: Int, precision: String?, folder: String, elements: [Element]) {
        self.turn = turn
        self.precision = precision
        self.folder = folder
        self.elements = elements
    }

    /// Where outputs lie that others may count on; the first that is written has ``folder`` itself, whichever
    /// it is.
    ///
    /// One that may be left out is not certain to be there, and nor is the name of one before which all others
    /// may be: it moves up into ``folder``.
    var outputs: [String] {
        var isTaken = false
        var names = [folder]
        for element in elements where element.options.onObstacle == .fail {
            if isTaken { names.append(Self.folder(element.options.format, beside: folder)) }
            isTaken = true
        }
        return names
    }

    /// The folder of a form that is not the first in `folder`.
    public static func folder(_ layout: ExportLayout, beside folder: String) -> String {
        "\(folder)-\(layout.rawValue)"
    }
}

extension TrainSpec {
    /// The exports of each of the formats that the training is for, or of its only one.
    ///
    /// The first group is what `model/` holds. A format that no export is in has no group.
    public var exportGroups: [ExportGroup] {
        let formats = quantization.recipe.alternation
        guard !formats.isEmpty else { return [ExportGroup(exports)] }
        var groups: [ExportGroup] = []
        for (turn, format) in formats.enumerated() {
            let named = quantization.namedFormats[turn]
            let elements = ExportGroup.Element.list(exports).filter {
                $0.options.precision == nil || $0.options.precision == named
            }
            guard !elements.isEmpty else { continue }
            groups.append(
                ExportGroup(
                    turn: turn,
                    precision: format.name,
                    folder: groups.isEmpty ? "model" : "model-\(format.name)",
                    elements: elements
                )
            )
        }
        return groups
    }
}
