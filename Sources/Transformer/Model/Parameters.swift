public import Formats
public import Kernels
public import Quantization

/// A model's FP32 parameters in one arena.
///
/// Unsynchronized: one writer at a time.
public final class Parameters: @unchecked Sendable {
    /// The model's shape.
    public let configuration: ModelConfiguration
    /// Names, shapes and offsets.
    public let layout: ParameterLayout
    /// All elements, in the layout's order.
    public let storage: AlignedBuffer<Float>
    /// Scales that stay while weights change, by parameter name; those of other weights are found from
    /// their values.
    public var fixedScales: [String: BlockScales] = [:]
    /// Weights that are packed and have no FP32 values here, by offset.
    private var packedWeights: [Int: PackedWeight] = [:]
    /// Parameters whose values are gone, by offset.
    private var released: Set<Int> = []
    /// Whether no parameter's values were given up by ``release(_:)``.
    public var isWhole: Bool { released.isEmpty }

    /// Zeroed parameters of a configuration.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`).
    public init(configuration: ModelConfiguration) throws {
        try configuration.validate()
        self.configuration = configuration
        layout = ParameterLayout(configuration: configuration)
        storage = AlignedBuffer(count: layout.totalCount)
    }

    /// Parameters drawn from N(0, 0.02²), norms neutral, biases 0: what a fresh model starts from.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`).
    public static func random(
        configuration: ModelConfiguration,
        seed: UInt64,
        deviation: Float = 0.02
    ) throws -> Parameters {
        let parameters = try Parameters(configuration: configuration)
        var generator = SplitMix64(seed: seed)
        for entry in parameters.layout.entries {
            let values = parameters.elements(of: entry)
            guard entry.shape.count > 1 else {
                let isBias = entry.name.hasSuffix(".bias")
                values.update(
                    repeating: isBias ? 0 : 1 - configuration.architecture.norm.weightOffset
                )
                continue
            }
            for index in 0..<entry.count { values[index] = generator.normal() * deviation }
        }
        return parameters
    }

    /// The elements of one parameter, row-major, `entry.count` of them.
    public func elements(of entry: ParameterLayout.Entry) -> UnsafeMutableBufferPointer<Float> {
        precondition(holds(entry), "the values of \(entry.name) were released")
        return UnsafeMutableBufferPointer(start: storage.pointer + entry.offset, count: entry.count)
    }

    /// The elements of the parameter of a name, row-major in its entry's shape.
    ///
    /// - Throws: ``TransformerError`` (`parameterMismatch`) if there is none.
    public func elements(named name: String) throws -> UnsafeMutableBufferPointer<Float> {
        guard let entry = layout[name] else {
            throw TransformerError(.parameterMismatch, "the model has no parameter \(name)")
        }
        return elements(of: entry)
    }

    /// Gives the memory of some parameters' values back to the system: nobody may ask for them any more.
    ///
    /// A parameter's first and last page may stay, which others share.
    public func release(_ entries: [ParameterLayout.Entry]) {
        for entry in entries where holds(entry) {
            storage.discard(entry.offset..<entry.offset + entry.count)
            released.insert(entry.offset)
        }
    }

    /// Keeps a weight packed instead of its FP32 values, which go: for inference alone.
    ///
    /// - Precondition: Its shape is the parameter's, a matrix's.
    public func hold(_ weight: PackedWeight, as entry: ParameterLayout.Entry) {
        precondition(
            entry.shape == [weight.layout.rows, weight.layout.columns],
            "\(entry.name) \(entry.shape) as [\(weight.layout.rows), \(weight.layout.columns)]"
        )
        release([entry])
        packedWeights[entry.offset] = weight
    }

    /// A weight that is held packed; nil of others.
    public func packedWeight(_ entry: ParameterLayout.Entry) -> PackedWeight? {
        packedWeights.isEmpty ? nil : packedWeights[entry.offset]
    }

    /// What all parameters take in memory, packed or as FP32 values, in bytes.
    public var residentByteCount: Int {
        layout.entries.reduce(0) { sum, entry in
            let floats = holds(entry) ? entry.count * MemoryLayout<Float>.stride : 0
            return sum + (packedWeight(entry)?.layout.byteCount ?? floats)
        }
    }

    /// Whether a parameter's values are there.
    func holds(_ entry: ParameterLayout.Entry) -> Bool {
        released.isEmpty || !released.contains(entry.offset)
    }

    /// An independent copy.
    ///
    /// - Precondition: The values of all parameters are there.
    public func copy() throws -> Parameters {
        precondition(isWhole, "a copy of parameters whose values were released")
        let twin = try Parameters(configuration: configuration)
        twin.storage.pointer.update(from: storage.pointer, count: storage.count)
        twin.fixedScales = fixedScales
        return twin
    }

    /// A copy in which linear layers have the biases of another configuration: zero where there were none.
    ///
    /// - Throws: ``TransformerError`` (`invalidConfiguration`).
    public func copy(as configuration: ModelConfiguration) throws -> Parameters {
        let twin = try Parameters(configuration: configuration)
        twin.fixedScales = fixedScales
        try twin.take(self)
        return twin
    }

    /// Takes the values of another model's parameters of the same names and shapes; others stay.
    ///
    /// - Throws: ``TransformerError`` (`parameterMismatch`) if one of them is not here.
    public func take(_ other: Parameters) throws {
        for source in other.layout.entries {
            guard let entry = layout[source.name], entry.shape == source.shape else {
                throw TransformerError(.parameterMismatch, "the model has no \(source.name)")
            }
            (storage.pointer + entry.offset).update(
                from: other.storage.pointer + source.offset,
                count: source.count
            )
        }
    }

    /// Rounds every weight that the recipe's final stage quantizes, in place.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if a block size does not divide.
    public func fakeQuantize(by recipe: QuantizationRecipe, team: ThreadTeam) throws {
        for weight in try quantizations(by: recipe, team: team) {
            weight.fakeQuantize(into: storage.pointer + weight.entry.offset)
        }
    }

    /// How many elements the recipe's final stage rounds to another value than they have.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe`) if a block size does not divide.
    public func countMoved(by recipe: QuantizationRecipe, team: ThreadTeam) throws -> Int {
        let weights = try quantizations(by: recipe, team: team)
        let rounded = AlignedBuffer<Float>(count: weights.map(\.entry.count).max() ?? 0)
        return weights.reduce(0) { sum, weight in
            weight.fakeQuantize(into: rounded.pointer)
            let values = elements(of: weight.entry)
            return (0..<weight.entry.count).reduce(sum) {
                $0 + (values[$1] == rounded.pointer[$1] ? 0 : 1)
            }
        }
    }

    /// The largest magnitude of a module and of those that servers fuse with it, which share one
    /// scale per tensor.
    ///
    /// Allocates nothing on the heap.
    public func sharedAmax(_ module: LinearModule, layer: Int, team: ThreadTeam) -> Float {
        var amax: Float = 0
        layout.forEachWeight(sharingInputOf: module, layer: layer) { entry in
            let start = storage.pointer + entry.offset
            amax = max(amax, BlockQuantizer.amax(start, count: entry.count, team: team))
        }
        return amax
    }

    /// The same for all weights that have a scale per tensor, by parameter name; others have none.
    public func sharedAmaxes(
        _ entries: [(ParameterLayout.Entry, QuantizationFormat)],
        team: ThreadTeam
    ) -> [String: Float] {
        let wanted = Set(
            entries.filter { $0.1.scaleKind.hasTensorScale }.map(\.0.name)
        )
        var amaxes: [String: Float] = [:]
        for layer in 0..<configuration.layerCount {
            for module in configuration.linearModules {
                let name = module.name(layer: layer) + ".weight"
                if wanted.contains(name) {
                    amaxes[name] = sharedAmax(module, layer: layer, team: team)
                }
            }
        }
        return amaxes
    }
}
