internal import OrderedCollections

/// Functions that every template has.
enum TemplateGlobals {
    static var values: [String: TemplateValue] {
        [
            "range": .function(TemplateFunction("range", call: range)),
            "namespace": .function(
                TemplateFunction("namespace") { arguments throws(TemplateError) in
                    .namespace(Namespace(try members(arguments, of: "namespace")))
                }
            ),
            "dict": .function(
                TemplateFunction("dict") { arguments throws(TemplateError) in
                    .object(try members(arguments, of: "dict"))
                }
            ),
            "raise_exception": .function(
                TemplateFunction("raise_exception") { arguments throws(TemplateError) in
                    try arguments.require(["message"], of: "raise_exception")
                    throw TemplateError(
                        .refused,
                        TemplateText.string(arguments.value(0, "message") ?? .undefined("message"))
                    )
                }
            ),
        ]
    }

    private static func range(_ arguments: CallArguments) throws(TemplateError) -> TemplateValue {
        var numbers: [Int] = []
        guard arguments.named.isEmpty, (1...3).contains(arguments.positional.count) else {
            throw TemplateError(.type, "range takes one to three numbers")
        }
        for place in arguments.positional.indices {
            guard let number = try arguments.integer(place, "", of: "range") else {
                throw TemplateError(.type, "range takes one to three numbers")
            }
            numbers.append(number)
        }
        let (start, end) = numbers.count == 1 ? (0, numbers[0]) : (numbers[0], numbers[1])
        let step = numbers.count == 3 ? numbers[2] : 1
        guard step != 0 else { throw TemplateError(.type, "range by steps of 0") }
        let items = stride(from: start, to: end, by: step)
            .lazy.prefix(TemplateLimits.items + 1).map(TemplateValue.integer)
        let list = Array(items)
        try TemplateLimits.require(items: list.count)
        return .list(list)
    }

    private static func members(
        _ arguments: CallArguments,
        of name: String
    ) throws(TemplateError) -> OrderedDictionary<String, TemplateValue> {
        var members: OrderedDictionary<String, TemplateValue> = [:]
        for value in arguments.positional {
            guard arguments.positional.count == 1, case .object(let given) = value else {
                throw TemplateError(.type, "\(name) takes a dictionary, and members by name")
            }
            members = given
        }
        for (name, value) in arguments.named { members[name] = value }
        return members
    }
}
