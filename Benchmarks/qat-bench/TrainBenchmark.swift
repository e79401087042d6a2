internal import ArgumentParser
internal import Devices
internal import Formats
internal import Foundation
internal import Kernels
internal import Transformer

/// Times training steps of a model shape with random weights.
struct TrainBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Times one optimizer step, and the matrix products in it alone."
    )

    @Option(help: "The model's shape: smollm2-135m, llama-3.2-1b or tiny.")
    var shape = "smollm2-135m"
    @Option(help: "Decoder layers, if not as many as the shape has.") var layers: Int?
    @Option(help: "Windows per step.") var batch = 2
    @Option(help: "Tokens per window.") var seq = 256
    @Option(help: "none, mxfp4, mxfp4-w4a4 or another format's name.") var recipe = "mxfp4"
    @Option(help: "32-true or bf16-mixed.") var precision = "32-true"
    @Option(help: "What AdamW's moments are kept as: float32, bfloat16 or int8.")
    var moments = "float32"
    @Option(help: "Parameters that are not trained, as in *embed_tokens*; may be repeated.")
    var freeze: [String] = []
    @Option(help: "Timed steps; one more warms up.") var steps = 4
    @Option(help: "Threads.") var threads = ProcessInfo.processInfo.activeProcessorCount
    @Flag(help: "Keep only the inputs of layers, compute the rest again.") var checkpoint = false
    @Flag(help: "Distill from an unquantized teacher instead of cross-entropy.") var distill = false

    func validate() throws {
        guard batch > 0, seq > 1, steps > 0, (1...256).contains(threads) else {
            throw ValidationError("--batch, --steps and --threads are at least 1, --seq at least 2")
        }
        guard layers ?? 1 > 0 else { throw ValidationError("--layers is at least 1") }
        guard ["32-true", "bf16-mixed"].contains(precision) else {
            throw ValidationError("--precision is 32-true or bf16-mixed")
        }
        guard momentPrecision != nil else {
            throw ValidationError("--moments is float32, bfloat16 or int8")
        }
        guard operands.isSupported else {
            throw ValidationError("this processor does not multiply BF16 (AVX-512 BF16)")
        }
    }

    private var momentPrecision: MomentPrecision? { MomentPrecision(rawValue: moments) }

    private var operands: OperandPrecision {
        precision == "bf16-mixed" ? .bfloat16 : .float32
    }

    func run() throws {
        var configuration = try modelShape(shape)
        if let layers { configuration.layerCount = layers }
        let team = ThreadTeam(threadCount: threads)
        // The engine's memory is free again before the floor's own matrices come.
        let (step, loss) = try timedSteps(configuration, team)
        let peak = peakMemoryGB()
        let floor = gemmFloor(configuration, rows: batch * seq, team: team)
        printJSON([
            ("bench", "train"), ("shape", shape), ("layers", configuration.layerCount),
            ("recipe", recipe), ("distill", distill),
            ("precision", precision), ("moments", moments),
            ("activation_checkpointing", checkpoint), ("threads", threads),
            ("batch", batch), ("seq", seq), ("step_s", step),
            ("tokens_per_s", Double(batch * seq) / step),
            ("planned_gb", Double(try plannedBytes(configuration)) / 1e9), ("maxrss_gb", peak),
            ("gemm_floor_s", floor), ("gemm_share", floor / step), ("loss", loss),
        ])
    }

    /// Seconds of a step, the median of those after the first, and the last one's loss.
    private func timedSteps(
        _ configuration: ModelConfiguration,
        _ team: ThreadTeam
    ) throws -> (seconds: Double, loss: Double) {
        let engine = try engine(configuration, team)
        var generator = SplitMix64(seed: 2)
        let tokens = (0..<batch * seq).map { _ in
            Int32(generator.below(configuration.vocabularySize))
        }
        var seconds: [Double] = []
        var loss = 0.0
        for _ in 0...steps {
            seconds.append(
                try timed {
                    loss = try engine.step(tokens: tokens, learningRate: 1e-5, progress: 0).loss
                }
            )
        }
        return (median(Array(seconds.dropFirst())), loss)
    }

    /// Matrices of N(0, 0.02²) and norms of ones.
    ///
    /// Numbers are drawn once and repeated: to draw a billion takes minutes.
    private static func randomParameters(_ configuration: ModelConfiguration) throws -> Parameters {
        let parameters = try Parameters(configuration: configuration)
        var generator = SplitMix64(seed: 1)
        // A prime, so that rows of no width repeat one another.
        let drawn = (0..<1_000_003).map { _ in generator.normal() * 0.02 }
        var place = 0
        for entry in parameters.layout.entries {
            let values = parameters.elements(of: entry)
            guard entry.shape.count > 1 else {
                values.update(repeating: 1)
                continue
            }
            for index in 0..<entry.count {
                values[index] = drawn[place]
                place = place + 1 == drawn.count ? 0 : place + 1
            }
        }
        return parameters
    }

    private func isFrozen(_ parameter: String) -> Bool {
        freeze.contains { ModulePattern($0).matches(parameter) }
    }

    private func engine(
        _ configuration: ModelConfiguration,
        _ team: ThreadTeam
    ) throws -> TrainingEngine {
        let parameters = try Self.randomParameters(configuration)
        let engine = try TrainingEngine(
            parameters: parameters,
            teacher: distill ? try parameters.copy() : nil,
            settings: .init(
                recipe: try quantizationRecipe(recipe),
                objective: distill ? .distillation(.init()) : .crossEntropy,
                optimizer: OptimizerConfiguration(moments: momentPrecision ?? .float32),
                batchSize: batch,
                length: seq,
                checkpointsActivations: checkpoint
            ),
            isFrozen: isFrozen,
            device: CPUDevice(team: team, operands: operands)
        )
        engine.releaseTeacher()
        return engine
    }

    /// What the memory plan says of steps, without a validation between them.
    private func plannedBytes(_ configuration: ModelConfiguration) throws -> Int {
        let plans = MemoryPlan.phases(
            training: configuration,
            .init(
                recipe: try quantizationRecipe(recipe),
                distillation: distill ? .init() : nil,
                batchSize: batch,
                length: seq,
                checkpointsActivations: checkpoint,
                operands: operands,
                moments: momentPrecision ?? .float32,
                threads: threads
            ),
            isFrozen: isFrozen
        )
        return plans.filter { $0.phase == .training }.flatMap(\.parts)
            .filter { $0.name != "validation" }.reduce(0) { $0 + $1.byteCount }
    }

    /// Seconds of the step's matrix products alone, best of two.
    private func gemmFloor(_ configuration: ModelConfiguration, rows: Int, team: ThreadTeam)
        -> Double
    {
        let product = MatrixProduct(team: team, operands: operands)
        let shapes =
            LinearModule.allCases.map {
                (
                    $0.inputWidth(configuration), $0.outputWidth(configuration),
                    configuration.layerCount
                )
            } + [(configuration.hiddenSize, configuration.vocabularySize, 1)]
        let widest = shapes.map { max($0.0, $0.1) }.max() ?? 1
        let largest = shapes.map { $0.0 * $0.1 }.max() ?? 1
        let input = AlignedBuffer<Float>(count: rows * widest)
        let output = AlignedBuffer<Float>(count: rows * widest)
        let weight = AlignedBuffer<Float>(count: largest)
        let gradient = AlignedBuffer<Float>(count: largest)
        // Packed once before, as a step has it; of the right size for the largest.
        let packed = AlignedBuffer<UInt32>(
            count: shapes.map { product.packedCount(rows: $0.1, columns: $0.0) }.max() ?? 0
        )
        let operand: MatrixProduct.Weight =
            packed.count > 0 ? .packed(packed.pointer) : .rows(weight.pointer)
        return (0..<2).map { _ in
            timed {
                for (inputWidth, outputWidth, count) in shapes {
                    for _ in 0..<count {
                        product.linear(
                            output: output.pointer,
                            input: input.pointer,
                            weight: operand,
                            rows: rows,
                            inputWidth: inputWidth,
                            outputWidth: outputWidth
                        )
                        product.linearInputGradient(
                            input.pointer,
                            accumulating: 0,
                            outputGradient: output.pointer,
                            weight: operand,
                            rows: rows,
                            inputWidth: inputWidth,
                            outputWidth: outputWidth
                        )
                        product.linearWeightGradient(
                            gradient.pointer,
                            outputGradient: output.pointer,
                            input: input.pointer,
                            rows: rows,
                            inputWidth: inputWidth,
                            outputWidth: outputWidth
                        )
                    }
                }
            }
        }.min() ?? 0
    }
}

/// The model shape of a name.
func modelShape(_ name: String) throws -> ModelConfiguration {
    switch name {
    case "smollm2-135m": .smolLM2With135MParameters
    case "llama-3.2-1b":
        ModelConfiguration(
            vocabularySize: 128_256,
            hiddenSize: 2048,
            intermediateSize: 8192,
            layerCount: 16,
            headCount: 32,
            keyValueHeadCount: 8,
            headDimension: 64,
            rotary: RotaryEmbedding(theta: 500_000),
            maximumPositions: 131_072,
            tiedEmbeddings: true
        )
    case "tiny":
        ModelConfiguration(
            vocabularySize: 512,
            hiddenSize: 64,
            intermediateSize: 128,
            layerCount: 2,
            headCount: 4,
            keyValueHeadCount: 2,
            tiedEmbeddings: true
        )
    default: throw ValidationError("--shape is smollm2-135m, llama-3.2-1b or tiny, not \(name)")
    }
}

/// The recipe of a name: a format for weights, and with `-w4a4` for their inputs too.
func quantizationRecipe(_ name: String) throws -> QuantizationRecipe {
    if name == "none" {
        return .none
    }
    let isBoth = name.hasSuffix("-w4a4")
    guard let format = QuantizationFormat(algorithm: isBoth ? String(name.dropLast(5)) : name)
    else {
        throw ValidationError("--recipe is none, mxfp4, mxfp4-w4a4 or a format, not \(name)")
    }
    return QuantizationRecipe(defaultFormat: format, activations: isBoth ? format : nil)
}
