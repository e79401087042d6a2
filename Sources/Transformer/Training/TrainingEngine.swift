public import Formats
public import Kernels

/// What a step is trained to lower.
public enum TrainingObjective: Sendable, Equatable {
    /// The next token's cross-entropy, averaged over `length - 1` targets per window.
    case crossEntropy
    /// KL(teacher ‖ student) at a temperature, averaged over all positions.
    case distillation(temperature: Double)
}

/// What one step reports.
public struct StepResult: Sendable, Equatable {
    /// Mean loss per position, in nats.
    public var loss: Double
    /// Global gradient norm before clipping.
    public var gradientNorm: Double
}

/// Quantization-aware training of a decoder: forward with fake-quantized weights, backward straight
/// through to the FP32 masters, AdamW.
///
/// Everything is allocated at the start; a step allocates nothing. Not for concurrent use.
public final class TrainingEngine {
    /// The masters, which each step updates.
    public let parameters: Parameters
    /// Steps taken.
    public private(set) var stepCount: Int
    /// AdamW's moments.
    public let optimizer: AdamWState

    private let team: ThreadTeam
    private let configuration: AdamWConfiguration
    private let objective: TrainingObjective
    private let weights: LayerWeights
    private let pass: DecoderPass
    private let teacherPass: DecoderPass?
    private let gradients: GradientArena
    private let backward: BackwardPass
    private let head: LossHead
    private let targets: AlignedBuffer<Int32>
    private let hiddenGradient: AlignedBuffer<Float>
    private let accumulation: Int
    private let batchSize: Int
    private let length: Int

    /// Prepares training.
    ///
    /// `parameters`: The model, updated in place. `teacher`: The unquantized model to distill from;
    /// needed for distillation only. `accumulation`: Micro-batches per step, each of `batchSize`
    /// windows. `isFrozen`: Which parameters, by name, take no gradient.
    ///
    /// - Throws: ``TransformerError`` for a recipe that does not fit.
    public init(
        parameters: Parameters,
        teacher: Parameters?,
        recipe: QuantizationRecipe,
        objective: TrainingObjective,
        optimizer configuration: AdamWConfiguration,
        batchSize: Int,
        accumulation: Int = 1,
        length: Int,
        isFrozen: (String) -> Bool,
        team: ThreadTeam
    ) throws {
        self.parameters = parameters
        self.team = team
        self.configuration = configuration
        self.objective = objective
        self.accumulation = accumulation
        weights = try LayerWeights(parameters: parameters, recipe: recipe, team: team)
        let model = parameters.configuration
        self.batchSize = batchSize
        self.length = length
        func makeAttention(of model: ModelConfiguration, keepsGradients: Bool) -> CausalAttention {
            CausalAttention(
                configuration: model,
                batchSize: batchSize,
                length: length,
                keepsGradients: keepsGradients,
                team: team
            )
        }
        let attention = makeAttention(of: model, keepsGradients: true)
        pass = DecoderPass(
            weights: weights,
            attention: attention,
            rows: batchSize * length,
            positions: length,
            layerSlots: model.layerCount,
            team: team
        )
        if case .distillation = objective {
            guard let teacher, teacher.configuration.vocabularySize == model.vocabularySize else {
                throw TransformerError(
                    .parameterMismatch,
                    "distillation needs a teacher with the same vocabulary"
                )
            }
            teacherPass = DecoderPass(
                weights: try LayerWeights(parameters: teacher, recipe: .none, team: team),
                attention: makeAttention(of: teacher.configuration, keepsGradients: false),
                rows: batchSize * length,
                positions: length,
                layerSlots: 1,
                team: team
            )
        } else {
            teacherPass = nil
        }
        gradients = GradientArena(layout: parameters.layout, isFrozen: isFrozen)
        backward = BackwardPass(pass: pass, attention: attention, gradients: gradients)
        optimizer = AdamWState(slots: gradients.slots, count: gradients.storage.count)
        head = LossHead(
            configuration: model,
            teacher: teacherPass?.configuration,
            chunkRows: min(128, batchSize * length),
            team: team
        )
        targets = AlignedBuffer(count: batchSize * length)
        hiddenGradient = AlignedBuffer(count: batchSize * length * model.hiddenSize)
        stepCount = 0
    }

    /// Windows a step takes: micro-batches times windows each.
    public var windowsPerStep: Int { accumulation * batchSize }

    /// Continues a run whose parameters and moments were restored.
    public func resume(atStep step: Int) {
        stepCount = step
    }

    /// Takes one step on `tokens`, `[windowsPerStep, length]`, each in the vocabulary.
    ///
    /// `progress`: Share of the run that is behind, which picks the recipe's stage.
    ///
    /// - Throws: ``TransformerError`` (`diverged`), before any parameter changes.
    public func step(
        tokens: UnsafePointer<Int32>,
        learningRate: Double,
        progress: Double
    ) throws -> StepResult {
        weights.setProgress(progress)
        gradients.clear(team: team)
        var loss = LossSum()
        for micro in 0..<accumulation {
            loss.add(accumulate(tokens + micro * pass.rows))
        }
        backward.clipSaturated()
        let norm = gradients.norm(team: team)
        let mean = loss.loss / Double(max(loss.rows, 1))
        guard mean.isFinite, norm.isFinite else {
            throw divergence(loss: mean, norm: norm, tokens: tokens)
        }
        update(learningRate: learningRate, norm: norm)
        return StepResult(loss: mean, gradientNorm: norm)
    }

    /// The gradients of one step, without an update; the tests compare them.
    package func gradient(ofParameter name: String) -> [Float]? {
        guard let entry = parameters.layout[name],
            let start = gradients.gradient(ofParameterAt: entry.offset)
        else {
            return nil
        }
        return [Float](UnsafeBufferPointer(start: start, count: entry.count))
    }

    private func accumulate(_ tokens: UnsafePointer<Int32>) -> LossSum {
        let rows = pass.rows
        pass.forward(tokens)
        let gradient = LossHead.HeadGradient(
            hidden: hiddenGradient.pointer,
            head: gradients.gradient(ofParameterAt: weights.headOffset)
        )
        let input = LossHead.Input(
            hidden: pass.activations.finalNorm,
            head: weights.effectiveHead()
        )
        let sum: LossSum
        switch objective {
        case .crossEntropy:
            setTargets(tokens)
            let count = accumulation * batchSize * (length - 1)
            sum = head.crossEntropy(
                input,
                targets: targets.pointer,
                rows: rows,
                gradientScale: 1 / Float(count),
                gradient: gradient
            )
        case .distillation(let temperature):
            guard let teacherPass else {
                preconditionFailure("distillation without a teacher pass")
            }
            teacherPass.forward(tokens)
            sum = head.distillation(
                input,
                teacher: LossHead.Input(
                    hidden: teacherPass.activations.finalNorm,
                    head: teacherPass.weights.effectiveHead()
                ),
                rows: rows,
                temperature: Float(temperature),
                gradientScale: 1 / Float(accumulation * rows),
                gradient: gradient
            )
        }
        backward.run(finalNormGradient: hiddenGradient.pointer, tokens: tokens)
        return sum
    }

    /// The error of a step, with the first module whose output is not finite.
    private func divergence(
        loss: Double,
        norm: Double,
        tokens: UnsafePointer<Int32>
    ) -> TransformerError {
        var place = loss.isFinite ? "; the first NaN or infinity is a gradient" : ""
        for micro in 0..<accumulation where !loss.isFinite {
            let start = tokens + micro * pass.rows
            if let module = pass.firstNonFinite(start, rows: pass.rows) {
                place = "; a NaN or an infinity first appears in \(module)"
            } else if let module = teacherPass?.firstNonFinite(start, rows: pass.rows) {
                place = "; a NaN or an infinity first appears in the teacher's \(module)"
            } else {
                continue
            }
            break
        }
        return TransformerError(
            .diverged,
            """
            step \(stepCount + 1): loss \(loss), gradient norm \(norm)\(place); lower the learning \
            rate
            """
        )
    }

    private func setTargets(_ tokens: UnsafePointer<Int32>) {
        for row in 0..<pass.rows {
            let isLast = row % length == length - 1
            targets.pointer[row] = isLast ? -1 : tokens[row + 1]
        }
    }

    private func update(learningRate: Double, norm: Double) {
        stepCount += 1
        let limit = configuration.gradientClipNorm
        // PyTorch's clip_grad_norm_ divides by norm + 1e-6.
        let scale = limit > 0 ? min(1, limit / (norm + 1e-6)) : 1
        optimizer.update(
            parameters: parameters,
            gradients: gradients.storage,
            learningRate: learningRate,
            configuration: configuration,
            stepCount: stepCount,
            gradientScale: Float(scale),
            team: team
        )
    }
}
