public import Jobs

/// A job, read from its file.
public enum JobSpec: Sendable, Equatable {
    /// Rounds a model after training.
    case quantize(QuantizeSpec)
    /// Trains a model under quantization.
    case train(TrainSpec)
    /// Measures models side by side.
    case evaluate(EvaluateSpec)
    /// Answers requests with a model.
    case serve(ServeSpec)

    /// Reads and checks a job file.
    ///
    /// What no engine of this version does is refused with what is wrong, unless the job waits for
    /// GPUs, which nobody offers; see ``UnsupportedFeature``.
    ///
    /// - Parameters:
    ///   - kind: `quantize`, `train`, `evaluate` or `serve`.
    ///   - json: The file, at most 256 KiB.
    /// - Returns: The job, with every default filled in.
    /// - Throws: ``JobSpecError`` with everything that is wrong.
    public static func parse(kind: String, json: [UInt8]) throws(JobSpecError) -> JobSpec {
        try ParsedJob(kind: kind, json: json).spec
    }

    /// The job's kind.
    public var kind: Kind {
        switch self {
        case .quantize: .quantize
        case .train: .train
        case .evaluate: .evaluate
        case .serve: .serve
        }
    }

    /// The name the file gives the job.
    public var name: String? {
        switch self {
        case .quantize(let spec): spec.name
        case .train(let spec): spec.name
        case .evaluate(let spec): spec.name
        case .serve(let spec): spec.name
        }
    }

    /// The inputs the job names.
    public var inputReferences: [InputReference] {
        switch self {
        case .quantize(let spec): spec.inputs
        case .train(let spec): spec.inputs
        case .evaluate(let spec): spec.inputs
        case .serve(let spec): spec.inputs
        }
    }

    /// What the job asks for and no engine of this version does.
    public var unsupported: [UnsupportedFeature] {
        switch self {
        case .quantize(let spec): spec.unsupported
        case .train(let spec): spec.unsupported
        case .evaluate: []
        case .serve(let spec): spec.unsupported
        }
    }

    /// Devices of each node that compute the job on a worker that has so many: as many as it asks for, or
    /// those that there are.
    public func devices(of offered: Int) -> Int {
        guard case .train(let spec) = self else { return 1 }
        return min(spec.trainer.devices, offered)
    }

    /// The machines the job asks for, at least.
    public var resources: Resources {
        switch self {
        case .quantize, .serve: Resources()
        case .train(let spec): spec.trainer.resources
        case .evaluate(let spec): Resources(runsCode: spec.runsCode)
        }
    }
}

/// A job with the document it was read from.
public struct ParsedJob: Sendable {
    /// The typed job.
    public let spec: JobSpec
    /// The document, whose ``JSONValue/canonicalBytes`` are submitted and hashed.
    ///
    /// Extents of `1.0`, all, are left out, since canonical JSON writes them like `1`.
    public let document: JSONValue
    /// What is accepted and does not do what it seems to, in the order of the file.
    public let warnings: [JobWarning]

    /// Reads and checks a job file; see ``JobSpec/parse(kind:json:)``.
    public init(kind: String, json: [UInt8]) throws(JobSpecError) {
        _ = try JobSchema.kind(named: kind)
        try self.init(kind: kind, document: JSONParser.parse(json))
    }

    /// Checks a document that was read before.
    ///
    /// `beside`: Members that it has for others, as one of a pipeline; they are not of the job.
    public init(
        kind: String,
        document parsed: JSONParser.Document,
        beside others: ObjectSchema? = nil
    ) throws(JobSpecError) {
        let kind = try JobSchema.kind(named: kind)
        let schema = JobSchema.schema(of: kind)
        let whole = ObjectSchema(schema.fields + (others?.fields ?? []))
        var validator = SchemaValidator(parsed, root: whole)
        validator.check(parsed.value, against: .object(whole), path: "$")
        try Self.refuse(validator)
        var members = parsed.value.objectValue ?? [:]
        for field in others?.fields ?? [] { members[field.name] = nil }
        document = schema.normalized(.object(members), fractions: parsed.fractions)
        let reader = ObjectReader(document, schema)
        switch kind {
        case .quantize: spec = .quantize(QuantizeSpec(reader))
        case .train: spec = .train(TrainSpec(reader))
        case .evaluate: spec = .evaluate(EvaluateSpec(reader))
        case .serve: spec = .serve(ServeSpec(reader))
        }
        validator.checkConsistency(of: spec)
        if spec.resources.accelerator != .gpu {
            for feature in spec.unsupported {
                validator.report(feature.message, at: feature.path)
            }
        }
        try Self.refuse(validator)
        warnings = JobWarning.warnings(of: spec, reader, lines: parsed.lines)
    }

    static func refuse(_ validator: SchemaValidator) throws(JobSpecError) {
        guard validator.violations.isEmpty else {
            let inOrder = validator.violations.enumerated().sorted {
                ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset)
            }
            throw JobSpecError(.invalidSpec, inOrder.map(\.element))
        }
    }
}
