internal import Formats

/// Schema of an element of the `export` section.
enum OutputSchema {
    static let export = ObjectSchema([
        .init(
            "format",
            .choice(ExportLayout.offered.map(\.rawValue)),
            required: true,
            ExportLayout.offered.map { $0.rawValue + $0.readers }.joined(separator: ", ") + "."
        ),
        .init(
            "on_obstacle",
            .words(ExportOptions.ObstacleRule.self),
            default: .string("fail"),
            "If the form cannot hold the model: fail refuses the job before any work, skip leaves "
                + "the export out with a warning."
        ),
        .init(
            "max_input_len",
            .integer(1...1_048_576),
            "Has no effect: servers set it when they load the model."
        ),
        .init(
            "max_output_len",
            .integer(1...1_048_576),
            "Has no effect: servers set it when they load the model."
        ),
        .init(
            "max_batch_size",
            .integer(1...65_536),
            "Has no effect: servers set it when they load the model."
        ),
        .init(
            "max_beam_width",
            .integer(1...1024),
            "Has no effect: servers set it when they load the model."
        ),
        .init(
            "precision",
            .format,
            "The weights' format: one of a training's quantization.formats, each of which is exported "
                + "otherwise. Jobs for one format export that, and take no other in this version."
        ),
        .init(
            "kv_cache",
            .format,
            "The format of keys and values; not in this version: quantization.enable_kv_cache is for all."
        ),
    ])
}
