/// The tensors of a folder that something reads, so that none is left over unread.
struct TensorClaims {
    private var names: Set<String> = []
    private var modules: Set<String> = []
    private let cacheScales: Bool

    /// `cacheScales`: Whether the scales of keys and values are read.
    init(cacheScales: Bool) { self.cacheScales = cacheScales }

    /// Takes a tensor.
    mutating func add(name: String) { names.insert(name) }

    /// Takes all that stands in a quantized module, whose reader checks it, but for a bias, which is
    /// a parameter of its own.
    mutating func add(module: String) { modules.insert(module) }

    /// Refuses a tensor that nothing reads.
    func refuseOthers(
        of tensors: CheckpointTensors,
        family: String
    ) throws(ModelFileError) {
        let others = tensors.all.filter { !isRead($0.tensor) && !Self.isNeutral($0.tensor) }
        guard let first = others.min(by: { $0.tensor.name < $1.tensor.name }) else { return }
        throw ModelFileError(
            .unsupported,
            """
            \(first.path): tensor \(first.tensor.name) belongs to nothing that \(family) models of this \
            config.json compute; remove it if it changes nothing
            """
        )
    }

    private func isRead(_ tensor: SafetensorsFile.Tensor) -> Bool {
        let name = tensor.name
        if names.contains(name) { return true }
        if cacheScales, name.hasSuffix(".k_scale") || name.hasSuffix(".v_scale") { return true }
        guard let dot = name.lastIndex(of: "."), !name.hasSuffix(".bias") else { return false }
        return modules.contains(String(name[..<dot]))
    }

    /// Inverse frequencies, which the configuration gives, and buffers of no element.
    private static func isNeutral(_ tensor: SafetensorsFile.Tensor) -> Bool {
        tensor.count == 0 || tensor.name.hasSuffix(".rotary_emb.inv_freq")
    }
}
