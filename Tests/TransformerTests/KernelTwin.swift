internal import CKernels

/// Runs a kernel and its reference twin on the same made-up input.
enum KernelTwin: String, CaseIterable, Sendable {
    case rmsNorm, rmsNormGradient, layerNorm, layerNormGradient, softmax, softmaxGradient, softCap
    case silu, gelu, geluTanh, relu, reluSquared
    case crossEntropy, klDivergence, reverseKL, jensenShannon, topOutcomes, topDivergence,
        sumOfSquares, addLowRank, adamW, adamWHalves, adamWBytes, lion, lionHalves, lionBytes

    /// The outputs of both twins for vectors of `length` elements.
    func run(length: Int) -> (fast: [Float], reference: [Float]) {
        (output(length, isReference: false), output(length, isReference: true))
    }

    /// Deterministic values in -2 ..< 2.
    private static func values(_ count: Int, _ seed: UInt32) -> [Float] {
        var state = seed &* 2_654_435_761 &+ 1
        return (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(state >> 8) / Float(1 << 22) - 2
        }
    }

    private func output(_ n: Int, isReference: Bool) -> [Float] {
        let a = Self.values(n, 1)
        let b = Self.values(n, 2)
        let c = Self.values(n, 3)
        switch self {
        case .rmsNorm: return rmsNorm(a, b, isReference)
        case .rmsNormGradient: return rmsNormGradient(a, b, c, isReference)
        case .softmax:
            var x = a
            n == 0
                ? ()
                : isReference
                    ? qat_softmax_row_f32_ref(&x, n, 0.7) : qat_softmax_row_f32(&x, n, 0.7)
            return x
        case .softmaxGradient: return softmaxGradient(n, isReference)
        case .layerNorm: return layerNorm(a, b, c, isReference)
        case .layerNormGradient: return layerNormGradient(a, b, c, isReference)
        case .softCap:
            var x = a
            (isReference ? qat_softcap_f32_ref : qat_softcap_f32)(&x, n, 3, 2)
            return x
        case .silu: return activation(QAT_SILU, a, b, c, isReference)
        case .gelu: return activation(QAT_GELU, a, b, c, isReference)
        case .geluTanh: return activation(QAT_GELU_TANH, a, b, c, isReference)
        case .relu: return activation(QAT_RELU, a, b, c, isReference)
        case .reluSquared: return activation(QAT_RELU_SQUARED, a, b, c, isReference)
        case .crossEntropy: return crossEntropy(a, isReference)
        case .klDivergence: return klDivergence(a, b, isReference)
        case .reverseKL: return reverseKL(a, b, isReference)
        case .jensenShannon: return jensenShannon(a, b, isReference)
        case .topOutcomes: return topOutcomes(a, isReference)
        case .topDivergence: return topDivergence(a, b, isReference)
        case .sumOfSquares:
            let sum = isReference ? qat_sum_of_squares_f32_ref(a, n) : qat_sum_of_squares_f32(a, n)
            return n == 0 ? [] : [Float(sum)]
        case .addLowRank: return addLowRank(a, b, c, isReference)
        case .adamW: return adamW(a, b, c, isReference)
        case .adamWHalves: return adamWHalves(a, b, c, isReference)
        case .adamWBytes, .lion, .lionHalves, .lionBytes: return updates(a, b, c, isReference)
        }
    }

    /// Three rows of rank 2, of which the last adds nothing to zeros that have a sign.
    private func addLowRank(
        _ x: [Float],
        _ y: [Float],
        _ z: [Float],
        _ isReference: Bool
    ) -> [Float] {
        let base = x + y + z.map { _ in -0.0 }
        var out = base
        let b: [Float] = [0.3, -1.7, 2.2, 0.1, 0, 0]
        (isReference ? qat_add_low_rank_f32_ref : qat_add_low_rank_f32)(
            &out,
            base,
            b,
            z + x,
            3,
            2,
            x.count,
            1.5
        )
        return out
    }

    private func rmsNorm(_ x: [Float], _ w: [Float], _ isReference: Bool) -> [Float] {
        var y = x
        var inverse: [Float] = [0]
        guard !x.isEmpty else {
            return []
        }
        (isReference ? qat_rmsnorm_forward_f32_ref : qat_rmsnorm_forward_f32)(
            &y,
            &inverse,
            x,
            w,
            1,
            x.count,
            1e-5
        )
        return y + inverse
    }

    private func rmsNormGradient(
        _ x: [Float],
        _ w: [Float],
        _ dy: [Float],
        _ isReference: Bool
    ) -> [Float] {
        var dx = w
        var dw = dy
        guard !x.isEmpty else {
            return []
        }
        (isReference ? qat_rmsnorm_backward_f32_ref : qat_rmsnorm_backward_f32)(
            &dx,
            &dw,
            dy,
            x,
            w,
            [0.8],
            1,
            x.count
        )
        return dx + dw
    }

    private func layerNorm(
        _ x: [Float],
        _ w: [Float],
        _ b: [Float],
        _ isReference: Bool
    ) -> [Float] {
        guard !x.isEmpty else { return [] }
        var y = x
        var statistics: [Float] = [0, 0]
        (isReference ? qat_layernorm_forward_f32_ref : qat_layernorm_forward_f32)(
            &y,
            &statistics,
            x,
            w,
            b,
            1,
            x.count,
            1e-2
        )
        return y + statistics
    }

    private func layerNormGradient(
        _ x: [Float],
        _ w: [Float],
        _ dy: [Float],
        _ isReference: Bool
    ) -> [Float] {
        guard !x.isEmpty else { return [] }
        var (dx, dw, db) = (w, dy, x)
        (isReference ? qat_layernorm_backward_f32_ref : qat_layernorm_backward_f32)(
            &dx,
            &dw,
            &db,
            dy,
            x,
            w,
            [0.1, 0.8],
            1,
            x.count
        )
        return dx + dw + db
    }

    /// Forward and backward, with a gate and without.
    private func activation(
        _ f: qat_activation,
        _ gate: [Float],
        _ up: [Float],
        _ dout: [Float],
        _ isReference: Bool
    ) -> [Float] {
        let forward = isReference ? qat_activation_forward_f32_ref : qat_activation_forward_f32
        let backward = isReference ? qat_activation_backward_f32_ref : qat_activation_backward_f32
        let n = gate.count
        var found: [Float] = []
        var (x, y) = (gate, gate)
        forward(f, &x, gate, up, n)
        found += x
        forward(f, &x, nil, up, n)
        found += x
        backward(f, &x, &y, dout, gate, up, n)
        found += x + y
        backward(f, nil, &y, dout, nil, up, n)
        return found + y
    }

    private func softmaxGradient(_ length: Int, _ isReference: Bool) -> [Float] {
        let p = Self.values(length, 4).map(abs)
        var d = Self.values(length, 5)
        let gradient =
            isReference ? qat_softmax_row_gradient_f32_ref : qat_softmax_row_gradient_f32
        gradient(&d, p, length, 0.5)
        return d
    }

    private func crossEntropy(_ logits: [Float], _ isReference: Bool) -> [Float] {
        guard !logits.isEmpty else {
            return []
        }
        var x = logits
        var sum = qat_loss_sum()
        (isReference ? qat_cross_entropy_f32_ref : qat_cross_entropy_f32)(
            &x,
            &sum,
            [Int32(logits.count - 1)],
            1,
            logits.count,
            0.3
        )
        return x + [Float(sum.loss), Float(sum.rows), Float(sum.correct)]
    }

    /// The kernel's loss; student and teacher become what it makes of them.
    static func klDivergence(
        student: inout [Float],
        teacher: inout [Float],
        rows: Int,
        temperature: Float,
        gradientScale: Float
    ) -> Double {
        var sum = qat_loss_sum()
        let width = student.count / rows
        qat_kl_divergence_f32(
            &student,
            &teacher,
            &sum,
            rows,
            width,
            temperature,
            gradientScale
        )
        return sum.loss
    }

    private func klDivergence(_ a: [Float], _ b: [Float], _ isReference: Bool) -> [Float] {
        guard !a.isEmpty else {
            return []
        }
        var s = a
        var t = b
        var sum = qat_loss_sum()
        (isReference ? qat_kl_divergence_f32_ref : qat_kl_divergence_f32)(
            &s,
            &t,
            &sum,
            1,
            a.count,
            2,
            0.5
        )
        return s + t + [Float(sum.loss), Float(sum.rows), Float(sum.correct)]
    }

    private func reverseKL(_ a: [Float], _ b: [Float], _ isReference: Bool) -> [Float] {
        guard !a.isEmpty else { return [] }
        var (s, t, sum) = (a, b, qat_loss_sum())
        (isReference ? qat_reverse_kl_f32_ref : qat_reverse_kl_f32)(
            &s,
            &t,
            &sum,
            1,
            a.count,
            2,
            0.5
        )
        return s + [Float(sum.loss), Float(sum.rows), Float(sum.correct)]
    }

    private func jensenShannon(_ a: [Float], _ b: [Float], _ isReference: Bool) -> [Float] {
        guard !a.isEmpty else { return [] }
        var (s, t, sum) = (a, b, qat_loss_sum())
        (isReference ? qat_jensen_shannon_f32_ref : qat_jensen_shannon_f32)(
            &s,
            &t,
            &sum,
            1,
            a.count,
            2,
            0.3,
            0.5
        )
        return s + [Float(sum.loss), Float(sum.rows), Float(sum.correct)]
    }

    private func topOutcomes(_ logits: [Float], _ isReference: Bool) -> [Float] {
        var found: [Float] = []
        for k in [1, 5, logits.count] where k > 0 && k <= logits.count {
            var x = logits
            var ids = [Int32](repeating: 0, count: k)
            var values = [Float](repeating: 0, count: k + 1)
            (isReference ? qat_top_outcomes_f32_ref : qat_top_outcomes_f32)(
                &x,
                &ids,
                &values,
                1,
                logits.count,
                k,
                2
            )
            found += ids.map { Float($0) } + values.filter(\.isFinite)
        }
        return found
    }

    private func topDivergence(_ a: [Float], _ b: [Float], _ isReference: Bool) -> [Float] {
        var found: [Float] = []
        let kinds = [QAT_FORWARD_KL, QAT_REVERSE_KL, QAT_JENSEN_SHANNON]
        for k in [1, 5, a.count] where k > 0 && k <= a.count {
            var teacher = b
            var ids = [Int32](repeating: 0, count: k)
            var values = [Float](repeating: 0, count: k + 1)
            qat_top_outcomes_f32_ref(&teacher, &ids, &values, 1, a.count, k, 2)
            for kind in kinds {
                var (x, sum) = (a, qat_loss_sum())
                var settings = qat_top_divergence(
                    kind: kind,
                    temperature: 2,
                    beta: 0.3,
                    gradient_scale: 0.5
                )
                (isReference ? qat_top_divergence_f32_ref : qat_top_divergence_f32)(
                    &x,
                    ids,
                    values,
                    &sum,
                    1,
                    a.count,
                    k,
                    &settings
                )
                found += x + [Float(sum.loss), Float(sum.rows), Float(sum.correct)]
            }
        }
        return found
    }

    private func adamW(_ w: [Float], _ m: [Float], _ g: [Float], _ isReference: Bool) -> [Float] {
        var w = w
        var m = m
        var v = m.map { abs($0) }
        var step = Self.step
        (isReference ? qat_adamw_f32_ref : qat_adamw_f32)(&w, &m, &v, g, w.count, &step)
        return w + m + v
    }

    static let step = qat_adamw(
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.95,
        epsilon: 1e-8,
        weight_decay: 0.1,
        bias_correction1: 0.1,
        bias_correction2: 0.05,
        gradient_scale: 0.5
    )

    private func adamWHalves(
        _ w: [Float],
        _ m: [Float],
        _ g: [Float],
        _ isReference: Bool
    ) -> [Float] {
        var w = w
        var m = m.map { UInt16($0.bitPattern >> 16) }
        var v = m.map { $0 & 0x7FFF }
        var step = Self.step
        (isReference ? qat_adamw_bf16_f32_ref : qat_adamw_bf16_f32)(
            &w,
            &m,
            &v,
            g,
            w.count,
            5,
            9,
            &step
        )
        return w + (m + v).map { Float(bitPattern: UInt32($0) << 16) }
    }
}

// MARK: - Optimizers

extension KernelTwin {
    private static let lionStep = qat_lion(
        learning_rate: 0.01,
        beta1: 0.9,
        beta2: 0.99,
        weight_decay: 0.1,
        gradient_scale: 0.5
    )

    /// Whether elements share scales in blocks of 256.
    var hasBlocks: Bool { self == .adamWBytes || self == .lionBytes }

    /// Three updates of AdamW with moments of bytes, or of Lion; codes and scales are among the outputs.
    func updates(_ w: [Float], _ m: [Float], _ g: [Float], _ isReference: Bool) -> [Float] {
        var w = w
        var step = Self.lionStep
        let blocks = (w.count + Int(QAT_MOMENT_BLOCK) - 1) / Int(QAT_MOMENT_BLOCK)
        var codes = [UInt8](repeating: 0, count: w.count)
        var seconds = codes
        var scales = [Float](repeating: 0, count: blocks)
        var secondScales = scales
        var floats = m
        var halves = m.map { UInt16($0.bitPattern >> 16) }
        for number in UInt32(1)...3 {
            switch self {
            case .lion:
                (isReference ? qat_lion_f32_ref : qat_lion_f32)(&w, &floats, g, w.count, &step)
            case .lionHalves:
                (isReference ? qat_lion_bf16_f32_ref : qat_lion_bf16_f32)(
                    &w,
                    &halves,
                    g,
                    w.count,
                    5,
                    number,
                    &step
                )
            case .lionBytes:
                (isReference ? qat_lion_u8_f32_ref : qat_lion_u8_f32)(
                    &w,
                    &codes,
                    &scales,
                    g,
                    w.count,
                    5,
                    number,
                    &step
                )
            default:
                var adamW = Self.step
                (isReference ? qat_adamw_u8_f32_ref : qat_adamw_u8_f32)(
                    &w,
                    &codes,
                    &scales,
                    &seconds,
                    &secondScales,
                    g,
                    w.count,
                    5,
                    number,
                    &adamW
                )
            }
        }
        let kept = (codes + seconds).map(Float.init) + scales + secondScales
        return w + floats + halves.map { Float(bitPattern: UInt32($0) << 16) } + kept
    }
}
