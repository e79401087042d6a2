/// The role of a linear module in a decoder layer, told from the last part of its name.
enum ModuleKind: String, CaseIterable {
    case query = "q_proj"
    case key = "k_proj"
    case value = "v_proj"
    case output = "o_proj"
    case gate = "gate_proj"
    case up = "up_proj"
    case down = "down_proj"
    case other = "others"

    /// Modules that are plotted together: few enough to tell apart by colour and by shape.
    enum Family: String, CaseIterable {
        case attention = "Attention"
        case feedForward = "Feed-forward"
        case other = "Other modules"
    }

    /// The kind of the module named `module`.
    init(module: String) {
        let name = Self.lastPart(of: module)
        self = Self.allCases.first { $0 != .other && $0.rawValue == name } ?? .other
    }

    /// What the kind is plotted with.
    var family: Family {
        switch self {
        case .query, .key, .value, .output: .attention
        case .gate, .up, .down: .feedForward
        case .other: .other
        }
    }

    /// The kind's mark; kinds of one family have different ones.
    var marker: SVGPlot.Marker {
        switch self {
        case .query, .gate: .circle
        case .key, .up: .square
        case .value, .down: .triangle
        case .output, .other: .diamond
        }
    }

    /// The class that carries the kind's colour.
    var styleClass: String { "k\(Self.allCases.firstIndex(of: self) ?? 0)" }

    /// The decoder layer in a module's name: its first part that is a number.
    static func layerIndex(of module: String) -> Int? {
        for part in module.split(separator: ".")
        where part.utf8.allSatisfy({ (0x30...0x39).contains($0) }) {
            return Int(part)
        }
        return nil
    }

    /// What follows the last dot of a module's name.
    static func lastPart(of module: String) -> String {
        module.split(separator: ".").last.map(String.init) ?? module
    }
}
