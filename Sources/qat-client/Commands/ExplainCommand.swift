internal import ArgumentParser
internal import JobSpecs

/// `explain`: what a job file of a kind may hold.
struct ExplainCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Explain the keys of a job file, or of a pipeline.",
        discussion: """
            With keys, only what is below them: "explain train optim", "explain train optim.lr", \
            "explain evaluate tasks.windows".
            """
    )

    @Argument(
        help: "quantize, train, evaluate, serve or pipeline.",
        completion: .list(JobSchema.fileKinds)
    )
    var kind: String
    @Argument(help: "Keys that lead to a part of it: optim, optim.lr, $.export.")
    var keys: [String] = []
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        let schema: ObjectSchema
        do {
            schema = try JobSchema.schema(fileKind: kind)
        } catch {
            throw ClientError(.usage, error.lines(file: kind))
        }
        let rows = try section(of: SchemaRow.rows(of: schema))
        guard !output.json else {
            Console.print(
                .object(["kind": .string(kind), "keys": .array(rows.map(\.json))])
            )
            return .succeeded
        }
        for row in rows {
            Console.print(row.path)
            Console.print("    \(row.documentation)")
            Console.print("    \(row.expectation)\(row.remark)")
        }
        return .succeeded
    }

    /// Those of a kind's keys that are asked for.
    private func section(of rows: [SchemaRow]) throws -> [SchemaRow] {
        let place = SchemaRow.keys(keys.joined(separator: "."))
        let found = rows.filter { $0.isAt(place) }
        guard found.isEmpty else { return found }
        let name = place.last ?? ""
        let same = rows.filter { SchemaRow.keys($0.path).last == name }.map(\.path)
        let near = NearestKey.suggestion(
            for: name,
            among: Set(rows.compactMap { SchemaRow.keys($0.path).last }).sorted()
        )
        let hint =
            !same.isEmpty
            ? "there is \(same.prefix(3).joined(separator: ", "))"
            : near.map { "did you mean \($0)?" } ?? "\"qat-client explain \(kind)\" lists all keys"
        throw ClientError(
            .usage,
            "\(kind) has no key \(TerminalText.short(place.joined(separator: "."))); \(hint)"
        )
    }
}

/// One key of a job file.
struct SchemaRow: Equatable {
    let path: String
    let documentation: String
    let expectation: String
    let isRequired: Bool
    let alternative: String?
    let defaultValue: JSONValue?

    /// Every key below an object, depth first.
    static func rows(of schema: ObjectSchema, path: String = "$") -> [SchemaRow] {
        schema.fields.flatMap { field in
            let fieldPath = "\(path).\(field.name)"
            let row = SchemaRow(
                path: fieldPath,
                documentation: field.documentation,
                expectation: field.value.expectation,
                isRequired: field.isRequired,
                alternative: field.alternative,
                defaultValue: field.defaultValue
            )
            return [row] + rows(below: field.value, path: fieldPath)
        }
    }

    private static func rows(below value: ValueSchema, path: String) -> [SchemaRow] {
        switch value {
        case .object(let schema), .objectOrWord(let schema, _): rows(of: schema, path: path)
        case .jobs(let schema, _): rows(of: schema, path: path + ".NAME")
        case .array(let element, _): rows(below: element, path: path + "[]")
        case .variant(let variants):
            variants.flatMap { rows(of: $0.schema, path: "\(path)(\($0.name))") }
        default: []
        }
    }

    /// The keys that a path leads over, without what says where among several: elements, alternatives.
    static func keys(_ path: String) -> [String] {
        var depth = 0
        let bare = path.filter { character in
            if "[(".contains(character) { depth += 1 }
            defer { if "])".contains(character) { depth -= 1 } }
            return depth == 0
        }
        return bare.split(separator: ".").map(String.init).filter { $0 != "$" }
    }

    /// Whether it is a place, or lies below it.
    func isAt(_ place: [String]) -> Bool { Self.keys(path).starts(with: place) }

    var remark: String {
        if isRequired {
            return "; required" + (alternative.map { " without \($0)" } ?? "")
        }
        return defaultValue.map { "; default \($0.canonicalText)" } ?? ""
    }

    var json: JSONValue {
        var members: [String: JSONValue] = [
            "path": .string(path),
            "documentation": .string(documentation),
            "expected": .string(expectation),
            "required": .boolean(isRequired),
        ]
        members["default"] = defaultValue
        members["required_without"] = alternative.map { .string($0) }
        return .object(members)
    }
}
