internal import Formats
internal import Jobs

extension ParsedJob {
    /// The document with what stands there by default written out: what another version, whose defaults may
    /// be others, reads as the same job.
    ///
    /// Left out is what would not be read as the same job, or would be warned about, if it were written: a
    /// default that is of no effect beside the other members.
    ///
    /// `holdsConversations`: Whether the training text has some, of which it may be said what is learned.
    public func resolved(holdsConversations: Bool) -> JSONValue {
        let kind = spec.kind.rawValue
        let schema = JobSchema.schema(of: spec.kind)
        let expected = warnings.map(\.withoutLine)
        var document = document
        for (place, value) in schema.defaults(beside: document) + derivedDefaults {
            guard holdsConversations || place != ["data", "answer_only_loss"],
                let trial = document.inserting(value, at: place[...]), trial != document,
                let read = try? ParsedJob(kind: kind, json: Array(trial.canonicalText.utf8)),
                read.spec.means(spec), read.warnings.map(\.withoutLine) == expected
            else { continue }
            document = trial
        }
        return document
    }

    /// What stands in for missing members and depends on others.
    private var derivedDefaults: [(place: [String], value: JSONValue)] {
        guard case .train(let spec) = spec else { return [] }
        let betas = [spec.optimizer.beta1, spec.optimizer.beta2].map(JSONValue.number)
        var found: [(place: [String], value: JSONValue)] = [
            (["optim", "betas"], .array(betas)),
            (["export_from"], .string(spec.exportSource.rawValue)),
        ]
        if spec.trainer.maximumEpochs != TrainerOptions.unlimitedEpochs {
            let epochs = JSONValue.number(Double(spec.trainer.maximumEpochs))
            found.append((["trainer", "max_epochs"], epochs))
        }
        let frozen = spec.frozen.map { JSONValue.string($0.text) }
        if !frozen.isEmpty { found.append((["frozen"], .array(frozen))) }
        if let lora = spec.lora { found.append((["lora", "lora_alpha"], .number(lora.alpha))) }
        return found
    }
}

extension JobSpec {
    /// Whether it is the same job as another, whichever of its members are written out.
    fileprivate func means(_ other: JobSpec) -> Bool {
        guard case .train(var spec) = self, case .train(let other) = other else {
            return self == other
        }
        spec.namesFrozen = other.namesFrozen
        spec.data.namesSampling = other.data.namesSampling
        if spec.data.learnsAnswersOnly == other.data.learnsAnswersOnly {
            spec.data.namedAnswersOnly = other.data.namedAnswersOnly
        }
        return spec == other
    }
}

extension ObjectSchema {
    /// Sections that mean the same when they are empty as when they are missing.
    private static let plainSections: Set<String> = [
        "trainer", "optim", "sched", "data", "divergence_guard",
    ]

    /// The defaults of members that a document has not, by their places.
    fileprivate func defaults(
        beside document: JSONValue?,
        at place: [String] = []
    ) -> [(place: [String], value: JSONValue)] {
        fields.flatMap { field -> [(place: [String], value: JSONValue)] in
            let member = document?[field.name].flatMap { $0 == .null ? nil : $0 }
            let inner = place + [field.name]
            switch field.value {
            case .object(let schema), .objectOrWord(let schema, _):
                let isOpen = member?.objectValue != nil || Self.plainSections.contains(field.name)
                if isOpen, member?.stringValue == nil {
                    return schema.defaults(beside: member, at: inner)
                }
            default: break
            }
            guard member == nil, let value = field.defaultValue else { return [] }
            return [(inner, value)]
        }
    }
}

extension JSONValue {
    /// The value with a member at a place of keys, in objects that are made where they are missing; nil where
    /// something else is in the way.
    fileprivate func inserting(_ value: JSONValue, at place: ArraySlice<String>) -> JSONValue? {
        guard let key = place.first else { return value }
        guard case .object(var members) = self else { return nil }
        let rest = place.dropFirst()
        let inner = members[key].flatMap { $0 == .null ? nil : $0 } ?? .object([:])
        guard rest.isEmpty || inner.objectValue != nil else { return nil }
        members[key] = rest.isEmpty ? value : inner.inserting(value, at: rest)
        return .object(members)
    }

    /// The text of the value on several lines, two spaces deeper for each level; keys are sorted, numbers as in
    /// ``canonicalText``.
    public var indentedText: String { text(indented: "") }

    private func text(indented indent: String) -> String {
        let inner = indent + "  "
        switch self {
        case .object(let members) where !members.isEmpty:
            let lines = members.sorted { $0.key < $1.key }.map { key, value in
                "\(inner)\(JSONValue.string(key).canonicalText): \(value.text(indented: inner))"
            }
            return "{\n\(lines.joined(separator: ",\n"))\n\(indent)}"
        case .array(let elements) where elements.contains { $0.objectValue != nil }:
            let lines = elements.map { inner + $0.text(indented: inner) }
            return "[\n\(lines.joined(separator: ",\n"))\n\(indent)]"
        default: return canonicalText
        }
    }
}
