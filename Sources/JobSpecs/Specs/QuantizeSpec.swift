/// A job that rounds a model after its training (PTQ).
public struct QuantizeSpec: Sendable, Equatable {
    /// A name for people; not unique.
    public var name: String?
    /// The model: a path, `job:ID[/output]` or `sha256:DIGEST`.
    public var model: String
    /// What is rounded, and to what.
    public var quantization: QuantizationOptions
    /// Calibration texts.
    public var data: DataOptions
    /// Forms in which the result is written.
    public var exports: [ExportOptions]
    /// The seed of everything random.
    public var seed: UInt64

    init(_ reader: ObjectReader) {
        name = reader.optionalText("name")
        model = reader.text("model")
        quantization = QuantizationOptions(reader.object("quantization"), isTraining: false)
        data = DataOptions(reader.object("data"))
        exports = reader.objects("export").map(ExportOptions.init)
        seed = UInt64(reader.integer("seed"))
    }

    /// What the job asks for and no engine of this version does.
    public var unsupported: [UnsupportedFeature] {
        data.unsupported(isTraining: false) + ExportOptions.unsupported(in: exports)
    }

    /// The inputs the job names, in the order of its sections.
    public var inputs: [InputReference] {
        [InputReference(pointer: "/model", text: model, role: .model)] + data.inputs
    }
}
