internal import JobSpecs

/// `--set trainer.max_steps=10`: a value that stands in for the job file's.
struct Override: Equatable {
    /// A step to the place: a member or an element.
    enum Step: Equatable {
        case key(String)
        case index(Int)
    }

    private static let largestIndex = 4096

    /// The place, from the root.
    private(set) var steps: [Step]
    /// The value as it is written: JSON, or text without quotes.
    let text: String

    /// Reads `key.key[index]=value`; a leading `$.` may stand before it.
    ///
    /// - Throws: ``ClientError`` (`usage`).
    init(parsing argument: String) throws(ClientError) {
        guard let equals = argument.firstIndex(of: "=") else {
            throw Self.refusal(argument, "expected KEY=VALUE, such as trainer.max_steps=10")
        }
        var place = argument[..<equals]
        if place.hasPrefix("$.") {
            place = place.dropFirst(2)
        }
        var steps: [Step] = []
        for part in place.split(separator: ".", omittingEmptySubsequences: false) {
            let pieces = part.split(separator: "[", omittingEmptySubsequences: false)
            guard let key = pieces.first, !key.isEmpty else {
                throw Self.refusal(argument, "a key is missing before the equals sign")
            }
            steps.append(.key(String(key)))
            for piece in pieces.dropFirst() {
                guard piece.hasSuffix("]"), let index = Int(piece.dropLast()),
                    (0...Self.largestIndex).contains(index)
                else {
                    throw Self.refusal(argument, "expected an index in brackets, such as tasks[0]")
                }
                steps.append(.index(index))
            }
        }
        self.steps = steps
        text = String(argument[argument.index(after: equals)...])
    }

    private static func refusal(_ argument: String, _ message: String) -> ClientError {
        ClientError(.usage, "--set \(TerminalText.short(argument)): \(message)")
    }

    /// The place as messages name it: `$.trainer.max_steps`.
    var path: String {
        steps.reduce("$") { path, step in
            switch step {
            case .key(let key): JSONPath.appending(key, to: path)
            case .index(let index): "\(path)[\(index)]"
            }
        }
    }

    /// The same within the job that its first key names, if the document is a pipeline with such a job.
    func placed(in document: JSONParser.Document) -> Override {
        guard case .key(let key) = steps.first, document.value[key] == nil,
            document.value["jobs"]?[key] != nil
        else { return self }
        var placed = self
        placed.steps.insert(.key("jobs"), at: 0)
        return placed
    }

    /// A document with the value at the place; objects on the way are made where they are missing.
    ///
    /// - Throws: ``ClientError`` (`usage`) if the way leads through something that has no such member.
    func applied(to document: JSONParser.Document) throws(ClientError) -> JSONParser.Document {
        if let fault = NumberHabit.fault(text) { throw Self.refusal("\(path)=\(text)", fault) }
        let parsed = try? JSONParser.parse(Array(text.utf8))
        let value = try Self.setting(
            parsed?.value ?? .string(text),
            in: document.value,
            steps[...],
            self
        )
        // What lay below the place is gone, and its lines with it.
        func isKept(_ place: String) -> Bool {
            place != path && !place.hasPrefix(path + ".") && !place.hasPrefix(path + "[")
        }
        var fractions = document.fractions.filter { isKept($0.key) }
        for (place, text) in parsed?.fractions ?? [:] {
            fractions[path + place.dropFirst()] = text
        }
        return JSONParser.Document(
            value: value,
            lines: document.lines.filter { isKept($0.key) },
            fractions: fractions
        )
    }

    private static func setting(
        _ new: JSONValue,
        in value: JSONValue,
        _ steps: ArraySlice<Step>,
        _ override: Override
    ) throws(ClientError) -> JSONValue {
        guard let step = steps.first else {
            return new
        }
        switch step {
        case .key(let key):
            guard value == .null || value.objectValue != nil else {
                throw refusal(
                    "\(override.path)",
                    "\(value.kindDescription) has no \(TerminalText.quoted(key))"
                )
            }
            var members = value.objectValue ?? [:]
            members[key] = try setting(
                new,
                in: members[key] ?? .null,
                steps.dropFirst(),
                override
            )
            return .object(members)
        case .index(let index):
            guard value == .null || value.arrayValue != nil else {
                throw refusal("\(override.path)", "\(value.kindDescription) has no elements")
            }
            var elements = value.arrayValue ?? []
            guard index <= elements.count else {
                throw refusal("\(override.path)", "there are \(elements.count) elements only")
            }
            let inner = index < elements.count ? elements[index] : .null
            let changed = try setting(new, in: inner, steps.dropFirst(), override)
            if index < elements.count {
                elements[index] = changed
            } else {
                elements.append(changed)
            }
            return .array(elements)
        }
    }
}
