internal import Formats

/// Compares a document with a schema and collects all that is wrong.
///
/// A `null` member counts as a missing one, as Python configurations write it.
struct SchemaValidator {
    private let lines: [String: Int]
    private let fractions: [String: String]
    private let root: ObjectSchema
    private(set) var violations: [JobSpecError.Violation] = []

    /// Most violations reported for one document.
    private static let maximumViolations = 32

    init(_ document: JSONParser.Document, root: ObjectSchema) {
        lines = document.lines
        fractions = document.fractions
        self.root = root
    }

    mutating func report(_ message: String, at path: String) {
        guard violations.count < Self.maximumViolations else {
            return
        }
        violations.append(.init(path: path, message: message, line: lines[path]))
    }

    /// `pasted`: What to write instead of values as other tools have them.
    mutating func check(
        _ value: JSONValue,
        against schema: ValueSchema,
        path: String,
        pasted: [String: String] = [:]
    ) {
        switch schema {
        case .object(let object):
            checkObject(value, against: object, path: path, pasted: pasted)
        case .objectOrWord where value.stringValue != nil:
            checkScalar(value, against: schema, path: path, pasted: pasted)
        case .objectOrWord(let object, _):
            checkObject(value, against: object, schema: schema, path: path)
        case .array(let element, let count):
            checkArray(value, of: element, count: count, schema: schema, path: path)
        case .variant(let variants): checkVariant(value, variants, schema: schema, path: path)
        case .jobs(let object, let count):
            checkJobs(value, against: object, count: count, schema: schema, path: path)
        default: checkScalar(value, against: schema, path: path, pasted: pasted)
        }
    }

    private mutating func checkObject(
        _ value: JSONValue,
        against schema: ObjectSchema,
        schema whole: ValueSchema? = nil,
        path: String,
        pasted: [String: String] = [:]
    ) {
        guard let members = value.objectValue else {
            reportKind(of: value, schema: whole ?? .object(schema), at: path, pasted: pasted)
            return
        }
        let known = schema.fields.map(\.name)
        var misspelled: Set<String> = []
        for key in members.keys.sorted() where schema.field(key) == nil {
            let free = known.filter { members[$0] == nil }
            let nearest = NearestKey.suggestion(for: key, among: free)
            let hint =
                KnownSynonym.hint(for: key, at: path, in: root)
                ?? nearest.map { "did you mean \"\($0)\"?" }
                ?? NearestKey.suggestion(for: key, among: known).map {
                    "did you mean \"\($0)\", which is there already?"
                }
                ?? root.path(ofField: key).map { "its place is \($0)" }
                ?? "known keys: \(known.joined(separator: ", "))"
            report("unknown key; \(hint)", at: JSONPath.appending(key, to: path))
            misspelled.formUnion([nearest].compactMap(\.self))
        }
        for field in schema.fields {
            let memberPath = JSONPath.appending(field.name, to: path)
            if let member = members[field.name], member != .null {
                check(member, against: field.value, path: memberPath, pasted: field.pasted)
            } else if field.isRequired, !misspelled.contains(field.name),
                !field.hasAlternative(in: members, misspelled)
            {
                report("missing; expected \(field.value.expectation)", at: memberPath)
            }
        }
    }

    private mutating func reportKind(
        of value: JSONValue,
        schema: ValueSchema,
        at path: String,
        pasted: [String: String] = [:]
    ) {
        let advice =
            (pasted[value.canonicalText] ?? schema.advice(value, isFraction: false))
            .map { "; \($0)" } ?? ""
        report(
            "found \(value.kindDescription); expected \(schema.expectation)\(advice)",
            at: path
        )
    }

    private mutating func checkArray(
        _ value: JSONValue,
        of element: ValueSchema,
        count: ClosedRange<Int>,
        schema: ValueSchema,
        path: String
    ) {
        guard let elements = value.arrayValue else {
            reportKind(of: value, schema: schema, at: path)
            return
        }
        guard count.contains(elements.count) else {
            report(
                "an array of \(elements.count) is not allowed; expected \(schema.expectation)",
                at: path
            )
            return
        }
        for (index, item) in elements.enumerated() {
            check(item, against: element, path: "\(path)[\(index)]")
        }
    }

    private mutating func checkJobs(
        _ value: JSONValue,
        against object: ObjectSchema,
        count: ClosedRange<Int>,
        schema: ValueSchema,
        path: String
    ) {
        guard let jobs = value.objectValue else {
            reportKind(of: value, schema: schema, at: path)
            return
        }
        guard count.contains(jobs.count) else {
            report(
                "\(jobs.count) jobs are not allowed; expected \(schema.expectation)",
                at: path
            )
            return
        }
        for (name, job) in jobs.sorted(by: { $0.key < $1.key }) {
            let place = JSONPath.appending(name, to: path)
            if let fault = PartName.fault(in: name) {
                report("the name " + fault, at: place)
            }
            guard let members = job.objectValue else {
                report("found \(job.kindDescription); expected a job", at: place)
                continue
            }
            for field in object.fields {
                guard let member = members[field.name], member != .null else { continue }
                check(member, against: field.value, path: "\(place).\(field.name)")
            }
        }
    }

    private mutating func checkVariant(
        _ value: JSONValue,
        _ variants: [ValueSchema.Variant],
        schema: ValueSchema,
        path: String
    ) {
        guard value.objectValue != nil else {
            reportKind(of: value, schema: schema, at: path)
            return
        }
        let names = ValueSchema.choice(variants.map(\.name))
        guard let type = value["type"] else {
            report("missing; expected \(names.expectation)", at: path + ".type")
            return
        }
        guard let variant = variants.first(where: { $0.name == type.stringValue }) else {
            checkScalar(type, against: names, path: path + ".type")
            return
        }
        checkObject(value, against: variant.schema, path: path)
    }

    private mutating func checkScalar(
        _ value: JSONValue,
        against schema: ValueSchema,
        path: String,
        pasted: [String: String] = [:]
    ) {
        // 1e3 is the count that it looks like; 1.0 and 1e0 are all of something.
        let isFraction = fractions[path]?.contains(".") ?? false
        let verdict = ScalarVerdict(value, schema, isFraction: isFraction)
        if case .allowed = verdict { return }
        let text = value.canonicalText
        let advice = (pasted[text] ?? schema.advice(value, isFraction: isFraction))
            .map { "; \($0)" }
        switch verdict {
        case .allowed: return
        case .wrongType:
            let found = value.kindDescription
            report("found \(found); expected \(schema.expectation)\(advice ?? "")", at: path)
        case .wrongValue(let hint):
            // What is written with a point may read as a count in canonical JSON.
            let shown = fractions[path] ?? text
            report(
                "\(shown.prefix(80)) is not allowed; expected \(schema.expectation)"
                    + (advice ?? hint),
                at: path
            )
        }
    }
}

extension ObjectSchema.Field {
    /// Whether what stands in for the field is there, or was meant to be.
    fileprivate func hasAlternative(
        in members: [String: JSONValue],
        _ misspelled: Set<String>
    ) -> Bool {
        guard let alternative else { return false }
        return misspelled.contains(alternative) || (members[alternative] ?? .null) != .null
    }
}

/// How a value that is neither object nor array fits its schema.
private enum ScalarVerdict {
    case allowed
    case wrongType
    case wrongValue(hint: String)

    init(_ value: JSONValue, _ schema: ValueSchema, isFraction: Bool) {
        switch (schema, value) {
        case (.boolean, .boolean): self = .allowed
        case (.integer(let range), .number):
            self = .init(value.integerValue.map(range.contains) ?? false)
        case (.number(let range), .number(let number)): self = .init(range.contains(number))
        case (.extent, .number(let number)):
            self = .init(number > 0 && (number <= 1 || value.integerValue != nil && !isFraction))
        case (.text(let maximum), .string(let text)):
            self = .init(
                (1...maximum).contains(text.utf8.count)
                    && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
            )
        case (.choice(let words), .string(let text)): self = .init(text, among: words)
        case (.wordOrInteger(let words), .string(let text)),
            (.objectOrWord(_, let words), .string(let text)):
            self = .init(text, among: words)
        case (.wordOrInteger(let words), .number):
            self = .init(words.contains(value.canonicalText))
        case (.format, .string(let text)): self = .init(text, among: ValueSchema.formatWords)
        case (.pattern, .string(let text)):
            self = .init(
                (1...256).contains(text.utf8.count) && (try? ModulePattern(parsing: text)) != nil
            )
        case (.splits, .string(let text)): self = .init(DataSplits(parsing: text) != nil)
        case (.input(_, let words), .string(let text)):
            self = .init(words.contains(text) || InputReference.Location(parsing: text) != nil)
        default: self = .wrongType
        }
    }

    private init(_ text: String, among words: [String]) {
        let nearest = NearestKey.suggestion(for: text, among: words)
        self =
            words.contains(text)
            ? .allowed : .wrongValue(hint: nearest.map { "; did you mean \"\($0)\"?" } ?? "")
    }

    private init(_ isAllowed: Bool) {
        self = isAllowed ? .allowed : .wrongValue(hint: "")
    }
}
