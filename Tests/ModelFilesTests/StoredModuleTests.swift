internal import Kernels
internal import Formats
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Modules that a file holds one above the other are written and read like one.
struct StoredModuleTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    /// The parameters of a layout, with q, k and v as one module of the file, and gate and up as one.
    private static func fused(_ layout: ParameterLayout) -> [StoredModule] {
        var modules: [StoredModule] = []
        for entry in layout.entries {
            guard let (module, layer) = layout.module(of: entry) else {
                modules.append(StoredModule(entry))
                continue
            }
            let names: [LinearModule: (String, [LinearModule])] = [
                .query: ("self_attn.qkv_proj", [.query, .key, .value]),
                .gate: ("mlp.gate_up_proj", [.gate, .up]),
            ]
            if let (name, parts) = names[module] {
                modules.append(
                    StoredModule(
                        name: "model.layers.\(layer).\(name)",
                        parts: parts.map { layout.entry(of: $0, layer: layer) }
                    )
                )
            } else if module == .output || module == .down {
                modules.append(StoredModule(entry))
            }
        }
        return modules
    }

    @Test(arguments: [
        (HuggingFaceWriter.Format.compressedTensors, QuantizationFormat.mxfp4),
        (.compressedTensors, .mxfp8), (.compressedTensors, .nvfp4),
        (.compressedTensors, .fp8PerTensor), (.compressedTensors, .fp8PerChannel),
        (.modelopt, .mxfp8), (.modelopt, .nvfp4), (.modelopt, .fp8PerTensor),
        (.modelopt, .fp8PerChannel), (.quark, .mxfp4), (.quark, .mxfp6E2M3),
    ])
    func partsReadBackAsWritten(
        layout: HuggingFaceWriter.Format,
        format: QuantizationFormat
    ) throws {
        let folder = try TemporaryFolder()
        let written = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: format),
            team: Self.team
        )
        var description = written.description
        description.storedModules = Self.fused(written.model.parameters.layout)
        for module in description.formats.keys { description.inputAmax[module] = 3 }
        description.activations = format
        let summary = try written.write(
            to: HuggingFaceWriter(description, format: layout, folder: folder.path)
        )
        let tensors = try CheckpointTensors(folder: folder.path)
        #expect(tensors.byteCount == summary.tensorByteCount)
        let configuration = try HuggingFaceConfiguration(path: folder.path + "/config.json")
        var issues = ConfigurationIssues()
        let document = try #require(
            QuantizationDocument(
                configuration.object,
                folder: folder.path,
                modules: description.contents.modules,
                &issues
            )
        )
        let storages = try #require(document.storages(&issues))
        #expect(issues.all.isEmpty)
        for module in description.contents.modules where module.isMatrix {
            guard case .scheme(let scheme, _) = storages[module] else {
                #expect(module.name == "model.embed_tokens")
                continue
            }
            let weight = try QuantizedWeight(module, scheme: scheme, tensors: tensors)
            for part in module.parts {
                let first = try #require(module.firstRow(of: part))
                var read = [Float](repeating: 0, count: part.count)
                try read.withUnsafeMutableBufferPointer {
                    try weight.read(rows: first..<first + part.rows, into: $0, team: Self.team)
                }
                let expected = written.model.parameters.elements(of: part)
                // Of a reciprocal, the rounding.
                let error: Float = layout == .compressedTensors && format == .nvfp4 ? 0x1p-22 : 0
                #expect(zip(read, expected).allSatisfy { abs($0 - $1) <= error * abs($1) })
            }
        }
    }

    @Test func plainPartsStandAboveEachOther() throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make()
        let quantized = QuantizedModel(model: model, stored: [:])
        var description = quantized.description
        description.storedModules = Self.fused(model.parameters.layout)
        _ = try quantized.write(
            to: HuggingFaceWriter(description, format: .f32, folder: folder.path)
        )
        let tensors = try CheckpointTensors(folder: folder.path)
        let fused = try #require(tensors["model.layers.1.mlp.gate_up_proj.weight"])
        #expect(fused.tensor.shape == [192, 64])
        let layout = model.parameters.layout
        let expected = [LinearModule.gate, .up].flatMap {
            Array(model.parameters.elements(of: layout.entry(of: $0, layer: 1)))
        }
        #expect(try fused.finiteFloats() == expected)
    }

    @Test func scalesOfOneTensorMustBeOne() throws {
        let folder = try TemporaryFolder()
        let model = try TinyModel.make()
        var stored: [String: PackedTensor] = [:]
        for entry in model.parameters.layout.entries where entry.module.hasSuffix("_proj") {
            stored[entry.name] = try BlockQuantizer.quantize(
                UnsafeBufferPointer(model.parameters.elements(of: entry)),
                rows: entry.rows,
                columns: entry.columns,
                format: .nvfp4,
                team: Self.team
            )
        }
        let quantized = QuantizedModel(model: model, stored: stored)
        var description = quantized.description
        description.storedModules = Self.fused(model.parameters.layout)
        let writer = try HuggingFaceWriter(
            description,
            format: .compressedTensors,
            folder: folder.path
        )
        let error = #expect(throws: ModelFileError.self) { try quantized.write(to: writer) }
        #expect(error?.message.contains("quantize them under one") == true)
    }
}
