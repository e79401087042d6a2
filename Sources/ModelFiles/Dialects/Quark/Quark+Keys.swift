internal import Formats

/// What is known of the keys of Quark's `quantization_config`.
///
/// - SeeAlso: Quark, `torch/quantization/config/config.py`, `to_dict` of `QConfig`, `QLayerConfig`
///   and `QTensorConfig`, and `torch/export/config/config.py`.
extension Quark {
    static let rootKeys = KnownKeys(
        used: [
            "algo_config", "exclude", "export", "global_quant_config", "layer_quant_config",
            "layer_type_quant_config", "quant_method",
        ],
        // The modules of the cache stand in layer_quant_config, too, and servers round keys after
        // their rotation whatever kv_cache_post_rope says.
        neutral: [
            "kv_cache_post_rope", "kv_cache_quant_config", "log_severity_level", "quant_mode",
            "version",
        ],
        expected: ["softmax_quant_spec": []]
    )

    static let exportKeys = KnownKeys(
        used: ["kv_cache_group", "pack_method"],
        // Which modules shared a scale, and how small it could be, while scales were found.
        neutral: ["min_kv_scale", "weight_merge_groups"],
        expected: ["weight_format": [.text("real_quantized")]]
    )

    static let layerKeys = KnownKeys(
        used: ["bias", "input_tensors", "output_tensors", "weight"],
        neutral: ["target_device"]
    )

    static let tensorKeys = KnownKeys(
        used: [
            "dtype", "group_size", "is_dynamic", "qscheme", "scale_calculation_mode",
            "scale_format", "symmetric",
        ],
        // The granularity says along which axis, and how values were observed does not matter.
        neutral: [
            "ch_axis", "enable_buffer_reuse", "max_input_numel", "observer_cls", "scale_type",
            "zero_point_type",
        ],
        expected: [
            "block_size": [], "is_scale_quant": [.flag(false)], "mx_element_dtype": [],
            "qat_spec": [], "round_method": [.text("half_even")],
        ]
    )

    /// Methods that change weights alone, so that nothing is left to do for a reader.
    private static let methodsOfWeights: Set<String> = [
        "autosmoothquant", "awq", "gptaq", "gptq", "qronos", "smooth", "smoothquant",
    ]

    /// Refuses methods after which models compute otherwise: rotations turn activations as the model
    /// runs.
    static func checkMethods(_ root: JSONObject, _ issues: inout ConfigurationIssues) {
        // Older files have one object in place of the list.
        var methods: [JSONValue] = []
        switch root["algo_config"] {
        case nil: return
        case .list(let list): methods = list
        case .some(let other): methods = [other]
        }
        for method in methods {
            guard case .object(let members) = method, case .text(let name) = members["name"]
            else {
                issues.refuse(
                    .malformed,
                    root.place,
                    "algo_config holds \(method.excerpt), no method with a name"
                )
                continue
            }
            guard !methodsOfWeights.contains(name.lowercased()) else { continue }
            issues.refuse(
                .unsupported,
                root.place,
                """
                algo_config has \(name), which may change what is computed; read are \
                \(methodsOfWeights.sorted().joined(separator: ", "))
                """
            )
        }
    }

    /// Accounts for the keys of a scheme and of the tensors in it.
    static func check(scheme: JSONObject?, _ issues: inout ConfigurationIssues) {
        issues.account(for: scheme, by: layerKeys)
        for key in ["input_tensors", "output_tensors", "weight"] {
            let tensor = issues.read(scheme) { scheme throws(ModelFileError) in
                try scheme.object(key)
            }
            issues.account(for: tensor, by: tensorKeys)
        }
    }
}
