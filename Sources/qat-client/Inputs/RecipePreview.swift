internal import Formats
internal import JobSpecs
internal import ModelFiles
internal import Transformer

/// What a job will do to a model that is at hand, found out before anything is sent.
struct RecipePreview {
    let table: LayerTable
    /// What the table cannot know.
    let remark: String?

    /// Resolves a job's recipe against its model; nil of jobs without a recipe, and of models that
    /// the gateway holds.
    ///
    /// - Throws: ``ClientError`` (`usage`) if the model cannot be read or the recipe does not fit it.
    init?(_ spec: JobSpec, inputs: [PlannedInput]) throws {
        let options: QuantizationOptions
        switch spec {
        case .quantize(let spec): options = spec.quantization
        case .train(let spec): options = spec.quantization
        case .evaluate: return nil
        }
        guard let input = inputs.first(where: { $0.pointer == "/model" }),
            let file = input.files.first?.path
        else {
            return nil
        }
        let slash = file.lastIndex(of: "/") ?? file.startIndex
        let path = input.source == "folder" ? String(file[..<slash]) : file
        do {
            let configuration = try ModelLoader.open(path: path).configuration
            table = try LayerTable(configuration, recipe: options.recipe)
        } catch let error as ModelFileError {
            throw ClientError(.usage, "$.model: \(error.message)")
        } catch let error as TransformerError {
            throw ClientError(.usage, "$.quantization: \(error.message)")
        }
        remark = options.postTraining?.mixedPrecision.map { mixed in
            """
            effective_bits \(mixed.effectiveBits): the job chooses among \
            \(mixed.candidates.map(\.name).joined(separator: ", ")) by layer; the table shows \
            the default
            """
        }
    }

    var json: JSONValue {
        .object([
            "quantized": .number(Double(table.quantizedCount)),
            "byte_count": .number(Double(table.byteCount)),
            "bits_per_weight": .number(table.quantizedBitsPerWeight),
            "layers": .array(
                table.rows.map { row in
                    .object([
                        "module": .string(row.module),
                        "shape": .array(row.shape.map { .number(Double($0)) }),
                        "format": .string(row.format),
                        "block_size": row.blockSize.map { .number(Double($0)) } ?? .null,
                        "bits_per_weight": .number(row.bitsPerWeight),
                        "byte_count": .number(Double(row.byteCount)),
                        "by": .string(row.origin),
                    ])
                }
            ),
        ])
    }

    func print() {
        var text = TextTable(["LAYER", "SHAPE", "FORMAT", "BLOCK", "BITS", "SIZE", "BY"])
        for row in table.rows {
            text.append([
                row.module, row.shape.map(String.init).joined(separator: "x"), row.format,
                row.blockSize.map(String.init) ?? "-", Quantities.decimals(row.bitsPerWeight, 2),
                Quantities.bytes(UInt64(row.byteCount)), row.origin,
            ])
        }
        Console.print(text.rendered())
        Console.print(
            "\(table.quantizedCount) of \(table.rows.count) weight matrices are quantized, to "
                + "\(Quantities.decimals(table.quantizedBitsPerWeight, 2)) bits per weight; all "
                + "take \(Quantities.bytes(UInt64(table.byteCount)))"
        )
        if let remark { Console.print(remark) }
    }
}
