internal import Formats
internal import Foundation
internal import Kernels
internal import Quantization
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Checks every worked example of docs/FORMATS.md.
struct FormatsDocumentTests {
    private static let team = ThreadTeam(threadCount: 1)

    /// A fenced block: the words after its fence, and its lines.
    struct Block: CustomTestStringConvertible {
        let words: [String]
        let lines: [String]

        var testDescription: String { (words + lines.prefix(2)).joined(separator: " ") }
    }

    private static let blocks: [Block] = {
        let path = URL(filePath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "docs/FORMATS.md")
        guard let text = try? String(contentsOf: path, encoding: .utf8) else { return [] }
        var blocks: [Block] = []
        var open: (words: [String], lines: [String])?
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                if let block = open {
                    blocks.append(Block(words: block.words, lines: block.lines))
                    open = nil
                } else {
                    open = (line.dropFirst(3).split(separator: " ").map(String.init), [])
                }
            } else {
                open?.lines.append(String(line))
            }
        }
        return blocks
    }()

    private static let examples = blocks.filter { $0.words.first == "example" }
    private static let layouts = blocks.filter { $0.words.first == "layout" }

    @Test func thereAreExamplesOfEveryKind() {
        #expect(Self.examples.count >= 13)
        #expect(Self.layouts.count >= 18)
    }

    private static func values(_ text: String) -> [Float] {
        let words = text.split(separator: " ")
        if words.count == 2, words[0] == "ramp", let step = Double(words[1]) {
            return (0..<32).map { Float(Double($0 - 16) * step) }
        }
        return words.compactMap { Float($0) }
    }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
    }

    @Test(arguments: examples)
    func exampleIsWhatQuantizationStores(block: Block) throws {
        let fields = Dictionary(
            uniqueKeysWithValues: block.lines.compactMap { line -> (String, String)? in
                let parts = line.split(separator: ":", maxSplits: 1)
                guard parts.count == 2 else { return nil }
                return (String(parts[0]), parts[1].trimmingCharacters(in: .whitespaces))
            }
        )
        var format = try #require(QuantizationFormat(algorithm: fields["format"] ?? ""))
        if let mode = fields["mode"] { format.scaleMode = try #require(ScaleMode(rawValue: mode)) }
        if let tie = fields["tie"] { format.tieRule = try #require(TieRule(rawValue: tie)) }
        let values = Self.values(try #require(fields["values"]))
        #expect(values.count == 32)
        let packed = try values.withUnsafeBufferPointer {
            try BlockQuantizer.quantize(
                $0,
                rows: 1,
                columns: 32,
                format: format,
                team: Self.team
            )
        }
        #expect(Self.hex(packed.codes) == fields["codes"])
        #expect(Self.hex(packed.scales) == fields["scales"] ?? "")
        let floats = packed.floatScales.map { String($0.bitPattern, radix: 16) }
        #expect(floats.joined(separator: " ") == fields["floats"] ?? "")
        guard let expected = fields["gguf"] else { return }
        // A model whose up projection is the one row.
        let configuration = ModelConfiguration(
            vocabularySize: 1,
            hiddenSize: 32,
            intermediateSize: 1,
            layerCount: 1,
            headCount: 1,
            keyValueHeadCount: 1
        )
        let layout = ParameterLayout(configuration: configuration)
        let entry = layout.entry(of: .up, layer: 0)
        let tensors = values.withUnsafeBufferPointer {
            GGUFTensorEncoder(
                entry,
                values: $0,
                place: GGUFLayout(configuration).place(of: entry),
                packed: packed
            ).tensors
        }
        #expect(Self.hex(tensors[0].bytes) == expected)
    }

    @Test(arguments: layouts)
    func layoutIsWhatIsWritten(block: Block) throws {
        let format = try #require(QuantizationFormat(algorithm: block.words[2]))
        let quantized = try QuantizedModel(
            rounding: TinyModel.make(),
            recipe: QuantizationRecipe(defaultFormat: format),
            team: Self.team
        )
        var description = quantized.description
        if block.words.contains("calibrated") {
            description.activations = format
            for module in description.formats.keys { description.inputAmax[module] = 3 }
        }
        let folder = try TemporaryFolder()
        let module = "model.layers.0.mlp.up_proj."
        var lines: [String] = []
        func shape(_ sizes: [Int]) -> String {
            sizes.isEmpty ? "scalar" : sizes.map(String.init).joined(separator: "x")
        }
        if block.words[1] == "gguf" {
            _ = try quantized.write(to: GGUFWriter(description, folder: folder.path))
            let file = try GGUFFile(path: folder.path + "/model.gguf")
            for tensor in file.tensors.values where tensor.name.hasPrefix("blk.0.ffn_up.") {
                let name = tensor.name.dropFirst("blk.0.".count)
                lines.append("\(name) \("\(tensor.type)".uppercased()) \(shape(tensor.shape))")
            }
        } else {
            let layout = try #require(ExportLayout(rawValue: block.words[1])?.folder)
            _ = try quantized.write(
                to: HuggingFaceWriter(description, format: layout, folder: folder.path)
            )
            let file = try SafetensorsFile(path: folder.path + "/model.safetensors")
            for tensor in file.tensors.values where tensor.name.hasPrefix(module) {
                let name = tensor.name.dropFirst(module.count)
                lines.append("\(name) \(tensor.type.rawValue) \(shape(tensor.shape))")
            }
        }
        #expect(lines.sorted() == block.lines)
    }
}
