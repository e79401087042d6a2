public import OrderedCollections

/// A value of a template: what Python's objects are to Jinja, as far as chat templates use them.
public enum TemplateValue {
    /// What no name holds; messages say what was looked for.
    case undefined(String)
    case none
    case flag(Bool)
    case integer(Int)
    case real(Double)
    /// Its positions are those of Unicode scalars, as in Python.
    case text(String)
    case list([TemplateValue])
    case tuple([TemplateValue])
    /// A dictionary whose keys are texts, in the order of their insertion.
    case object(OrderedDictionary<String, TemplateValue>)
    /// What `namespace()` makes: the one thing that a loop's body may change outside of it.
    case namespace(Namespace)
    /// `loop` within a loop's body.
    case loop(LoopState)
    /// Something to call.
    case function(TemplateFunction)

    /// Whether it counts as true.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .flag(let value): value
        case .integer(let value): value != 0
        case .real(let value): value != 0
        case .text(let value): !value.isEmpty
        case .list(let items), .tuple(let items): !items.isEmpty
        case .object(let members): !members.isEmpty
        case .namespace, .loop, .function: true
        }
    }

    /// Its kind as Python calls it, for messages.
    var kind: String {
        switch self {
        case .undefined: "undefined"
        case .none: "none"
        case .flag: "bool"
        case .integer: "int"
        case .real: "float"
        case .text: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .object: "dict"
        case .namespace: "namespace"
        case .loop: "loop"
        case .function: "function"
        }
    }

    /// Whether two are equal as Python has it: numbers by value, flags as 0 and 1.
    static func areEqual(_ left: TemplateValue, _ right: TemplateValue) -> Bool {
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.text(let one), .text(let other)):
            return one.unicodeScalars.elementsEqual(other.unicodeScalars)
        case (.list(let one), .list(let other)), (.tuple(let one), .tuple(let other)):
            return one.count == other.count && zip(one, other).allSatisfy(areEqual)
        case (.object(let one), .object(let other)):
            return one.count == other.count
                && one.allSatisfy { key, value in
                    other[key].map { areEqual(value, $0) } ?? false
                }
        case (.namespace(let one), .namespace(let other)): return one === other
        case (.loop(let one), .loop(let other)): return one === other
        default:
            if let one = left.wholeNumber, let other = right.wholeNumber { return one == other }
            guard let one = left.number, let other = right.number else { return false }
            return one == other
        }
    }

    /// Its value where it is a flag or an integer.
    var wholeNumber: Int? {
        switch self {
        case .flag(let value): value ? 1 : 0
        case .integer(let value): value
        default: nil
        }
    }

    /// Its value where it is a flag or a number.
    var number: Double? {
        if case .real(let value) = self { return value }
        return wholeNumber.map(Double.init)
    }
}

/// What `namespace()` makes.
public final class Namespace {
    var members: OrderedDictionary<String, TemplateValue>

    init(_ members: OrderedDictionary<String, TemplateValue>) { self.members = members }
}

/// Something to call: a macro, a method of a value, a function that the host lends.
public struct TemplateFunction {
    let name: String
    let call: (CallArguments) throws(TemplateError) -> TemplateValue

    /// A function called `name`.
    public init(
        _ name: String,
        call: @escaping (CallArguments) throws(TemplateError) -> TemplateValue
    ) {
        self.name = name
        self.call = call
    }
}

/// What a loop's body knows of its loop.
public final class LoopState {
    let items: [TemplateValue]
    var index = 0
    var lastChanged: [TemplateValue]?

    init(_ items: [TemplateValue]) { self.items = items }

    func attribute(_ name: String) -> TemplateValue {
        switch name {
        case "index": .integer(index + 1)
        case "index0": .integer(index)
        case "revindex": .integer(items.count - index)
        case "revindex0": .integer(items.count - index - 1)
        case "first": .flag(index == 0)
        case "last": .flag(index == items.count - 1)
        case "length": .integer(items.count)
        // Of recursive loops, which are not rendered here.
        case "depth": .integer(1)
        case "depth0": .integer(0)
        case "previtem": index > 0 ? items[index - 1] : .undefined("loop.previtem")
        case "nextitem": index + 1 < items.count ? items[index + 1] : .undefined("loop.nextitem")
        case "cycle":
            .function(
                TemplateFunction("cycle") { [self] arguments throws(TemplateError) in
                    guard !arguments.positional.isEmpty else {
                        throw TemplateError(.type, "loop.cycle() takes what it cycles through")
                    }
                    return arguments.positional[index % arguments.positional.count]
                }
            )
        case "changed":
            .function(
                TemplateFunction("changed") { [self] arguments throws(TemplateError) in
                    let now = arguments.positional
                    defer { lastChanged = now }
                    guard let lastChanged, lastChanged.count == now.count else {
                        return .flag(true)
                    }
                    return .flag(!zip(lastChanged, now).allSatisfy(TemplateValue.areEqual))
                }
            )
        default: .undefined("loop.\(name)")
        }
    }
}
