/// What a function, a filter or a test is called with.
public struct CallArguments {
    /// Those without a name, in order.
    public var positional: [TemplateValue] = []
    /// Those with one.
    public var named: [(name: String, value: TemplateValue)] = []

    /// The argument at a place, or of a name; nil if neither is given.
    func value(_ place: Int, _ name: String) -> TemplateValue? {
        place < positional.count ? positional[place] : named.first { $0.name == name }?.value
    }

    func flag(_ place: Int, _ name: String, default fallback: Bool) -> Bool {
        value(place, name)?.isTrue ?? fallback
    }

    func integer(_ place: Int, _ name: String, of function: String) throws(TemplateError) -> Int? {
        guard let value = value(place, name) else { return nil }
        if case .none = value { return nil }
        guard let number = value.wholeNumber else {
            throw TemplateError(.type, "\(function): \(name) is no whole number but \(value.kind)")
        }
        return number
    }

    func text(_ place: Int, _ name: String, of function: String) throws(TemplateError) -> String? {
        guard let value = value(place, name) else { return nil }
        if case .none = value { return nil }
        guard case .text(let text) = value else {
            throw TemplateError(.type, "\(function): \(name) is no text but \(value.kind)")
        }
        return text
    }

    /// Refuses what a function does not take: an argument is used or refused.
    ///
    /// `names`: Of its parameters, in order.
    func require(_ names: [String], of function: String) throws(TemplateError) {
        guard positional.count <= names.count else {
            throw TemplateError(
                .type,
                "\(function) takes \(names.count) arguments, and is given \(positional.count)"
            )
        }
        for argument in named {
            guard let place = names.firstIndex(of: argument.name), place >= positional.count else {
                throw TemplateError(.type, "\(function) takes no argument \(argument.name)")
            }
        }
    }
}
