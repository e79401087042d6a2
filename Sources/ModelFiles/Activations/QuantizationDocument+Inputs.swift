internal import Transformer

/// What a configuration says of inputs.
extension QuantizationDocument {
    /// How the inputs of quantized modules are rounded, with the names of the model's modules that
    /// each one holds.
    func inputs(
        of modules: [(module: StoredModule, scheme: StorageScheme)]
    ) throws(ModelFileError) -> [(module: String, parts: [String], inputs: InputScheme)] {
        let dialect = isSeparate ? ModelOpt().name : try root.text("quant_method") ?? ""
        let compressedTensors =
            dialect == CompressedTensors().name ? try CompressedTensorsInputs(root) : nil
        let quark = dialect == Quark().name ? try QuarkInputs(root) : nil
        let linear = modules.filter { $0.module.name != "model.embed_tokens" }
        return linear.map { module, scheme in
            let inputs =
                compressedTensors?.inputs(of: module.name) ?? quark?.inputs(of: module.name)
                ?? .modelOpt(scheme.name)
            return (module.name, module.parts.map(\.module), inputs)
        }
    }
}
