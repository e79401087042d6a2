/// The tensors of a folder that something reads, so that none is left over unread.
struct TensorClaims {
    private var names: Set<String> = []

    /// Takes tensors, whether they are there or not.
    mutating func add(_ names: some Sequence<String>) { self.names.formUnion(names) }

    /// Refuses a tensor that nothing reads.
    func refuseOthers(
        of tensors: CheckpointTensors,
        family: String
    ) throws(ModelFileError) {
        let others = tensors.all.filter {
            !names.contains($0.tensor.name) && !Self.isNeutral($0.tensor)
        }
        guard let first = others.min(by: { $0.tensor.name < $1.tensor.name }) else { return }
        throw ModelFileError(
            .unsupported,
            """
            \(first.path): tensor \(first.tensor.name) belongs to nothing that \(family) models of this \
            config.json compute; remove it if it changes nothing
            """
        )
    }

    /// Whether a tensor changes nothing: inverse frequencies, which the configuration gives, buffers
    /// of no element, and zero points of zero, which some packages write of
    /// symmetric weights.
    static func isNeutral(_ tensor: SafetensorsFile.Tensor) -> Bool {
        tensor.count == 0 || tensor.name.hasSuffix(".rotary_emb.inv_freq")
            || tensor.name.hasSuffix("_zero_point") && tensor.bytes.allSatisfy { $0 == 0 }
    }
}
