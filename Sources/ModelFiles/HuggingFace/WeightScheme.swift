internal import Formats
internal import Quantization

/// How a checkpoint's configuration says that a module's weight is stored.
struct WeightScheme: Equatable {
    /// Whose tensor names are used.
    enum Dialect: String {
        case compressedTensors = "compressed-tensors"
        case modelopt
        case quark
    }

    /// Codes and scales.
    enum Storage: Equatable {
        /// As a packed tensor has them.
        case packed(QuantizationFormat)
        /// E4M3 codes with a float scale per tile; the last tiles may be cut off.
        case tiles(rows: Int, columns: Int)
    }

    let dialect: Dialect
    /// What the configuration calls it, as in `mxfp4-pack-quantized` or `NVFP4`.
    let name: String
    let storage: Storage

    /// Bits of an element.
    var bitWidth: Int {
        switch storage {
        case .packed(let format): format.element.bitWidth
        case .tiles: 8
        }
    }

    /// The tensor of the codes, after the module's name.
    var codesSuffix: String {
        dialect == .compressedTensors && bitWidth == 4 ? ".weight_packed" : ".weight"
    }

    /// The dtype of the codes: E4M3 bytes are called that, everything else is bytes.
    var codesType: SafetensorsType { bitWidth == 8 ? .f8E4M3 : .u8 }

    /// The dtypes the scales may have.
    var scalesTypes: [SafetensorsType] {
        guard case .packed(let format) = storage else { return Self.floats }
        switch format.scaleKind {
        case .e8m0: return [.u8]
        case .e4m3TwoLevel: return [.f8E4M3]
        case .perTensor, .perChannel: return Self.floats
        }
    }

    /// The shapes the scales may have; the first is the usual one.
    func scalesShapes(rows: Int, columns: Int) -> [[Int]] {
        switch storage {
        case .tiles(let height, let width):
            return [[Self.quotient(rows, height), Self.quotient(columns, width)]]
        case .packed(let format):
            switch format.scaleKind {
            case .e8m0, .e4m3TwoLevel: return [[rows, columns / format.blockSize]]
            case .perTensor: return [[], [1]]
            case .perChannel: return [[rows, 1], [rows]]
            }
        }
    }

    /// Rounded up.
    static func quotient(_ count: Int, _ size: Int) -> Int { (count - 1) / size + 1 }

    static let floats: [SafetensorsType] = [.f32, .bf16, .f16]
}

/// A `quantization_config` of one of the families.
protocol CheckpointConfiguration: Sendable {
    /// How a module's weight is stored; nil if it is not quantized.
    func scheme(of module: String) -> WeightScheme?
}

/// What a folder says of its quantization.
enum QuantizationConfiguration {
    /// Reads `quantization_config` of config.json, or else `hf_quant_config.json`; nil if there is
    /// neither.
    static func read(
        _ root: JSONObject,
        folder: String
    ) throws(ModelFileError) -> (any CheckpointConfiguration)? {
        let path = folder + "/hf_quant_config.json"
        let separate =
            FileSystem.exists(path)
            ? try JSONValue.object(path: path, byteLimit: 4 << 20, limit: 1 << 18) : nil
        guard let own = try root.object("quantization_config") else {
            guard let quantization = try separate?.object("quantization") else { return nil }
            return try ModelOptConfiguration(quantization)
        }
        let method = try own.text("quant_method") ?? "?"
        switch WeightScheme.Dialect(rawValue: method) {
        case .compressedTensors: return try CompressedTensorsConfiguration(own)
        case .quark: return try QuarkConfiguration(own)
        case .modelopt:
            let algorithm = try own.text("quant_algo")
            let other = try separate?.object("quantization")?.text("quant_algo")
            if let algorithm, let other, algorithm != other {
                throw ModelFileError(
                    .malformed,
                    "\(path): quant_algo is \(other), but \(algorithm) in config.json"
                )
            }
            return try ModelOptConfiguration(own)
        case nil:
            throw ModelFileError(
                .unsupported,
                """
                \(folder): quantization by \(method) is not read in this version; \
                compressed-tensors, modelopt and quark are
                """
            )
        }
    }
}
