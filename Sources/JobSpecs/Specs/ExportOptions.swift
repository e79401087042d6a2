public import Formats

/// One element of the `export` section: a form in which a model is written.
public struct ExportOptions: Sendable, Equatable {
    /// What becomes of an export that cannot be written.
    public enum ObstacleRule: String, Sendable, CaseIterable {
        /// The job is refused before any work.
        case fail
        /// It is left out, and the warnings say why.
        case skip
    }

    /// The form.
    public var format: ExportLayout
    /// What becomes of it if it cannot be written.
    public var onObstacle: ObstacleRule
    /// Longest prompt the deployment expects.
    public var maximumInputLength: Int?
    /// Longest answer the deployment expects.
    public var maximumOutputLength: Int?
    /// Largest batch the deployment expects.
    public var maximumBatchSize: Int?
    /// Widest beam the deployment expects.
    public var maximumBeamWidth: Int?
    /// The only one of a training's several formats that is written; nil for all.
    public var precision: QuantizationFormat?
    /// Whether the job says so, of a format or of none.
    let namesPrecision: Bool
    /// The precision of keys and values.
    public var keyValueCache: QuantizationFormat?

    /// What a job that names no export gets.
    public static let usual = [
        ExportOptions(format: .compressedTensors, onObstacle: .skip)
    ]

    /// An export that asks for nothing else.
    public init(format: ExportLayout, onObstacle: ObstacleRule = .fail) {
        self.format = format
        self.onObstacle = onObstacle
        namesPrecision = false
    }

    init(_ reader: ObjectReader) {
        format = reader.choice("format")
        onObstacle = reader.choice("on_obstacle")
        maximumInputLength = reader.optionalInteger("max_input_len")
        maximumOutputLength = reader.optionalInteger("max_output_len")
        maximumBatchSize = reader.optionalInteger("max_batch_size")
        maximumBeamWidth = reader.optionalInteger("max_beam_width")
        namesPrecision = reader.contains("precision")
        precision = namesPrecision ? reader.format("precision") : nil
        keyValueCache = reader.contains("kv_cache") ? reader.format("kv_cache") : nil
    }

    /// What is asked for and not carried yet.
    ///
    /// `hasFormats`: Whether the job trains for several formats, of which an export may name one.
    static func unsupported(
        in exports: [ExportOptions],
        hasFormats: Bool = false
    ) -> [UnsupportedFeature] {
        var features: [UnsupportedFeature] = []
        for (index, export) in exports.enumerated() {
            let path = "$.export[\(index)]"
            if export.namesPrecision, !hasFormats {
                features.append(
                    UnsupportedFeature(
                        "\(path).precision",
                        "a format of an export's own is not in this version; leave it out, and the "
                            + "quantization's is exported, or train for several: "
                            + "\"formats\": [\"mxfp8\", \"mxfp4\"] in quantization"
                    )
                )
            }
            if export.keyValueCache != nil {
                features.append(
                    UnsupportedFeature(
                        "\(path).kv_cache",
                        "keys and values of an export's own are not in this version; leave it out: "
                            + "$.quantization.enable_kv_cache rounds them in all exports"
                    )
                )
            }
        }
        return features
    }
}
