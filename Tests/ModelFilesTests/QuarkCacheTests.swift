internal import Formats
internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Quark's scales of the key-value cache, against what vLLM asks of a configuration.
///
/// - SeeAlso: vLLM, `quantization/quark/quark.py`: `from_config`, `_find_matched_config`.
struct QuarkCacheTests {
    private static func quantization(_ sample: LintSample) throws -> [String: Any] {
        let folder = try TemporaryFolder()
        try sample.write(to: folder.path)
        let data = try Data(contentsOf: URL(fileURLWithPath: folder.path + "/config.json"))
        let root = try #require(JSONSerialization.jsonObject(with: data) as? [String: Any])
        return try #require(root["quantization_config"] as? [String: Any])
    }

    /// Every scheme whose name the group matches has the same outputs: E4M3 per tensor, static.
    @Test(arguments: [LintSample.quarkCache, .quarkMixedCache])
    func schemesOfTheGroupHaveOutputs(sample: LintSample) throws {
        let quantization = try Self.quantization(sample)
        let export = try #require(quantization["export"] as? [String: Any])
        let group = try #require(export["kv_cache_group"] as? [String])
        #expect(group == ["*k_proj", "*v_proj"])
        let layers = try #require(quantization["layer_quant_config"] as? [String: [String: Any]])
        let cached = layers.filter { name, _ in
            group.contains { ModulePattern($0).matches(name) }
        }
        #expect(cached.count >= 2)
        for (name, scheme) in cached {
            let outputs = try #require(scheme["output_tensors"] as? [String: Any], "\(name)")
            #expect(outputs["dtype"] as? String == "fp8_e4m3")
            #expect(outputs["qscheme"] as? String == "per_tensor")
            #expect(outputs["is_dynamic"] as? Bool == false)
        }
        let separate = quantization["kv_cache_quant_config"] as? [String: Any]
        #expect(Set(separate?.keys.map(\.self) ?? []) == Set(cached.keys))
    }

    /// The first pattern that names a projection decides; without outputs, q, k and v agree.
    @Test(arguments: [LintSample.quarkCache, .quarkMixedCache])
    func fusedProjectionsHaveOneScheme(sample: LintSample) throws {
        let quantization = try Self.quantization(sample)
        let layers = try #require(quantization["layer_quant_config"] as? [String: [String: Any]])
        let global = try #require(quantization["global_quant_config"] as? [String: Any])
        func scheme(_ module: String) throws -> Data {
            let found = layers.sorted { $0.key < $1.key }.first { pattern, _ in
                pattern.contains("*") ? ModulePattern(pattern).matches(module) : pattern == module
            }
            var scheme = found?.value ?? global
            scheme["output_tensors"] = NSNull()
            return try JSONSerialization.data(withJSONObject: scheme, options: .sortedKeys)
        }
        for layer in 0..<2 {
            let query = try scheme(LinearModule.query.name(layer: layer))
            #expect(try scheme(LinearModule.key.name(layer: layer)) == query)
            #expect(try scheme(LinearModule.value.name(layer: layer)) == query)
        }
    }

    /// Layers whose keys have different formats are named one by one.
    @Test func differentFormatsAreNamedByLayer() throws {
        let keys = (0..<2).map { LinearModule.key.name(layer: $0) }
        let values = (0..<2).map { LinearModule.value.name(layer: $0) }
        let contents = ExportContents(
            modules: StoredModule.modules(
                of: ParameterLayout(configuration: try TinyModel.make().configuration)
            ),
            formats: [keys[0]: .mxfp4, keys[1]: .mxfp6E2M3, values[0]: .mxfp4],
            activations: nil,
            inputAmax: [:],
            keyAmax: [1, 1],
            valueAmax: [1, 1]
        )
        let layers =
            Quark().configuration(contents)["layer_quant_config"] as? [String: [String: Any]]
        #expect(Set(layers?.keys.map(\.self) ?? []) == Set(keys + values))
        let types = layers?.compactMapValues {
            ($0["weight"] as? [String: Any])?["dtype"] as? String
        }
        #expect(types == [keys[0]: "fp4", keys[1]: "fp6_e2m3", values[0]: "fp4"])
    }
}
