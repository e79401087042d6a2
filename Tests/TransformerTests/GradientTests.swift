internal import Foundation
internal import Devices
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Central differences of a Double function have an error near 1e-9 here; what remains is the
/// kernels' single precision over sums of a few dozen terms.
private let tolerance = 2e-5

/// Each layer's backward pass against central differences of its forward pass in Double.
struct GradientTests {
    /// d/dx of `sum(weights · f(x))` by central differences.
    private static func differences(
        _ x: [Double],
        weights: [Double],
        _ f: ([Double]) -> [Double]
    ) -> [Float] {
        let h = 1e-5
        return x.indices.map { index in
            var up = x
            var down = x
            up[index] += h
            down[index] -= h
            let high = zip(f(up), weights).reduce(0) { $0 + $1.0 * $1.1 }
            let low = zip(f(down), weights).reduce(0) { $0 + $1.0 * $1.1 }
            return Float((high - low) / (2 * h))
        }
    }

    private static func values(_ count: Int, seed: UInt64, scale: Float = 1) -> [Float] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in random.normal() * scale }
    }

    @Test(arguments: [1, 7, 8, 9, 17])
    func rmsNorm(width: Int) {
        let x = Self.values(3 * width, seed: 1)
        let w = Self.values(width, seed: 2)
        let dy = Self.values(3 * width, seed: 3)
        let epsilon = 1e-5
        func forward(_ x: [Double], _ w: [Double]) -> [Double] {
            (0..<3).flatMap { row -> [Double] in
                let r = Array(x[row * width..<(row + 1) * width])
                let mean = r.reduce(0) { $0 + $1 * $1 } / Double(width)
                return zip(r, w).map { $0 / (mean + epsilon).squareRoot() * $1 }
            }
        }
        var y = [Float](repeating: 0, count: 3 * width)
        var inverse = [Float](repeating: 0, count: 3)
        var dx = [Float](repeating: 0, count: 3 * width)
        var dw = [Float](repeating: 0, count: width)
        DecoderKernels.rmsNorm(
            output: &y,
            inverseRMS: &inverse,
            input: x,
            weight: w,
            rows: 3,
            width: width,
            epsilon: Float(epsilon)
        )
        DecoderKernels.rmsNormGradient(
            inputGradient: &dx,
            weightGradient: &dw,
            outputGradient: dy,
            input: x,
            weight: w,
            inverseRMS: inverse,
            shape: (3, width)
        )
        let xd = x.map(Double.init)
        let wd = w.map(Double.init)
        let weights = dy.map(Double.init)
        #expect(relativeError(y, forward(xd, wd).map { Float($0) }) <= tolerance)
        let expectedX = Self.differences(xd, weights: weights) { forward($0, wd) }
        let expectedW = Self.differences(wd, weights: weights) { forward(xd, $0) }
        // A single column normalizes to its sign: the gradient is the difference of two equal terms.
        let slack = width == 1 ? 1e-3 : 0
        #expect(
            zip(dx, expectedX).allSatisfy { abs($0 - $1) <= Float(slack) }
                || relativeError(dx, expectedX) <= tolerance
        )
        #expect(relativeError(dw, expectedW) <= tolerance)
    }

    @Test(arguments: [6, 4, 2])
    func rotaryEmbedding(rotated: Int) {
        let heads = 2
        let d = 6
        let length = 4
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        let table = RotaryTable(
            RotaryEmbedding(dimension: rotated),
            headDimension: d,
            positions: length,
            device: device
        )
        let x = Self.values(length * heads * d, seed: 4)
        let dy = Self.values(x.count, seed: 5)
        func forward(_ x: [Double]) -> [Double] {
            var y = x
            for position in 0..<length {
                for head in 0..<heads {
                    for i in 0..<rotated / 2 {
                        let turns = -2 * Double(i) / Double(rotated)
                        let angle = Double(position) * pow(10_000, turns)
                        let low = (position * heads + head) * d + i
                        let high = low + rotated / 2
                        y[low] = x[low] * cos(angle) - x[high] * sin(angle)
                        y[high] = x[high] * cos(angle) + x[low] * sin(angle)
                    }
                }
            }
            return y
        }
        let rotation = RotationOperation(
            cosine: table.cosine,
            sine: table.sine,
            sequenceLength: length,
            firstPosition: 0,
            headDimension: d
        )
        let y = DeviceTensor(x, columns: heads * d, on: device)
        device.rotate(y, rotation, isInverse: false)
        let dx = DeviceTensor(dy, columns: heads * d, on: device)
        device.rotate(dx, rotation, isInverse: true)
        let xd = x.map(Double.init)
        #expect(relativeError(y.values, forward(xd).map { Float($0) }) <= tolerance)
        let expected = Self.differences(xd, weights: dy.map(Double.init), forward)
        #expect(relativeError(dx.values, expected) <= tolerance)
    }

    /// The nonlinearities by their definitions.
    private static func value(_ activation: Architecture.Activation, _ x: Double) -> Double {
        switch activation {
        case .silu: x / (1 + exp(-x))
        case .gelu: x * (1 + erf(x / 2.0.squareRoot())) / 2
        case .geluTanh:
            x * (1 + tanh((2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x))) / 2
        case .relu: max(x, 0)
        case .reluSquared: max(x, 0) * max(x, 0)
        }
    }

    @Test(arguments: Architecture.Activation.allCases, [1, 7, 8, 19])
    func activation(_ activation: Architecture.Activation, count: Int) {
        let gate = Self.values(count, seed: 6, scale: 2)
        let up = Self.values(count, seed: 7)
        let dOut = Self.values(count, seed: 8)
        func forward(_ gate: [Double], _ up: [Double]) -> [Double] {
            zip(gate, up).map { Self.value(activation, $0) * $1 }
        }
        var y = gate
        var dGate = [Float](repeating: 0, count: count)
        var dUp = dGate
        DecoderKernels.activate(
            activation.kernel,
            output: &y,
            gate: gate,
            up: up,
            count: count
        )
        DecoderKernels.activateGradient(
            activation.kernel,
            gateGradient: &dGate,
            upGradient: &dUp,
            outputGradient: dOut,
            gate: gate,
            up: up,
            count: count
        )
        let g = gate.map(Double.init)
        let u = up.map(Double.init)
        let weights = dOut.map(Double.init)
        #expect(relativeError(y, forward(g, u).map { Float($0) }) <= tolerance)
        #expect(
            relativeError(dGate, Self.differences(g, weights: weights) { forward($0, u) })
                <= tolerance || dGate.allSatisfy { $0 == 0 }
        )
        #expect(
            relativeError(dUp, Self.differences(u, weights: weights) { forward(g, $0) })
                <= tolerance || dUp.allSatisfy { $0 == 0 }
        )
        DecoderKernels.activate(
            activation.kernel,
            output: &y,
            gate: nil,
            up: gate,
            count: count
        )
        DecoderKernels.activateGradient(
            activation.kernel,
            gateGradient: nil,
            upGradient: &dUp,
            outputGradient: dOut,
            gate: nil,
            up: gate,
            count: count
        )
        let plain = { (x: [Double]) in x.map { Self.value(activation, $0) } }
        #expect(relativeError(y, plain(g).map { Float($0) }) <= tolerance || y == [0])
        #expect(
            relativeError(dUp, Self.differences(g, weights: weights, plain)) <= tolerance
                || dUp == [0]
        )
    }

    @Test(arguments: [2, 7, 8, 9, 17])
    func layerNorm(width: Int) {
        let x = Self.values(3 * width, seed: 21)
        let w = Self.values(width, seed: 22)
        let b = Self.values(width, seed: 23)
        let dy = Self.values(3 * width, seed: 24)
        let epsilon = 1e-5
        func forward(_ x: [Double], _ w: [Double], _ b: [Double]) -> [Double] {
            (0..<3).flatMap { row -> [Double] in
                let r = Array(x[row * width..<(row + 1) * width])
                let mean = r.reduce(0, +) / Double(width)
                let variance = r.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(width)
                return r.indices.map {
                    (r[$0] - mean) / (variance + epsilon).squareRoot() * w[$0] + b[$0]
                }
            }
        }
        var y = [Float](repeating: 0, count: 3 * width)
        var statistics = [Float](repeating: 0, count: 6)
        var dx = y
        var dw = [Float](repeating: 0, count: width)
        var db = dw
        w.withUnsafeBufferPointer { weight in
            b.withUnsafeBufferPointer { bias in
                guard let weight = weight.baseAddress, let bias = bias.baseAddress else { return }
                DecoderKernels.layerNorm(
                    output: &y,
                    statistics: &statistics,
                    input: x,
                    parameters: (weight, bias),
                    rows: 3,
                    width: width,
                    epsilon: Float(epsilon)
                )
            }
        }
        dw.withUnsafeMutableBufferPointer { weight in
            db.withUnsafeMutableBufferPointer { bias in
                DecoderKernels.layerNormGradient(
                    inputGradient: &dx,
                    parameterGradients: (weight.baseAddress, bias.baseAddress),
                    outputGradient: dy,
                    input: x,
                    weight: w,
                    statistics: statistics,
                    shape: (3, width)
                )
            }
        }
        let (xd, wd, bd) = (x.map(Double.init), w.map(Double.init), b.map(Double.init))
        let weights = dy.map(Double.init)
        #expect(relativeError(y, forward(xd, wd, bd).map { Float($0) }) <= tolerance)
        let expectedX = Self.differences(xd, weights: weights) { forward($0, wd, bd) }
        // Two columns normalize to their signs: the gradient is the difference of equal terms.
        #expect(
            relativeError(dx, expectedX) <= tolerance
                || width == 2 && zip(dx, expectedX).allSatisfy { abs($0 - $1) <= 1e-3 }
        )
        let expectedW = Self.differences(wd, weights: weights) { forward(xd, $0, bd) }
        let expectedB = Self.differences(bd, weights: weights) { forward(xd, wd, $0) }
        #expect(relativeError(dw, expectedW) <= tolerance)
        #expect(relativeError(db, expectedB) <= tolerance)
    }

    @Test func linearLayer() {
        let (rows, input, output) = (5, 7, 3)
        let x = Self.values(rows * input, seed: 9)
        let w = Self.values(output * input, seed: 10)
        let dy = Self.values(rows * output, seed: 11)
        func forward(_ x: [Double], _ w: [Double]) -> [Double] {
            (0..<rows).flatMap { r in
                (0..<output).map { o in
                    (0..<input).reduce(0) { $0 + x[r * input + $1] * w[o * input + $1] }
                }
            }
        }
        let product = MatrixProduct(team: ThreadTeam(threadCount: 2))
        var y = [Float](repeating: 0, count: rows * output)
        var dx = [Float](repeating: 0, count: rows * input)
        var dw = [Float](repeating: 0, count: output * input)
        product.linear(
            output: &y,
            input: x,
            weight: w,
            rows: rows,
            inputWidth: input,
            outputWidth: output
        )
        product.linearInputGradient(
            &dx,
            accumulating: 0,
            outputGradient: dy,
            weight: w,
            rows: rows,
            inputWidth: input,
            outputWidth: output
        )
        product.linearWeightGradient(
            &dw,
            outputGradient: dy,
            input: x,
            rows: rows,
            inputWidth: input,
            outputWidth: output
        )
        let xd = x.map(Double.init)
        let wd = w.map(Double.init)
        let weights = dy.map(Double.init)
        #expect(relativeError(y, forward(xd, wd).map { Float($0) }) <= tolerance)
        #expect(
            relativeError(dx, Self.differences(xd, weights: weights) { forward($0, wd) })
                <= tolerance
        )
        #expect(
            relativeError(dw, Self.differences(wd, weights: weights) { forward(xd, $0) })
                <= tolerance
        )
    }

    @Test(arguments: [1, 5, 9], [AttentionReference.Limits()] + AttentionReference.limits)
    func attention(length: Int, limits: AttentionReference.Limits) throws {
        var configuration = ModelConfiguration(
            vocabularySize: 8,
            hiddenSize: 16,
            intermediateSize: 8,
            layerCount: 1,
            headCount: 4,
            keyValueHeadCount: 2
        )
        configuration.layerAttention = [LayerAttention(window: limits.window)]
        configuration.architecture.attentionSoftCap = limits.softCap.map { Float($0) }
        configuration.architecture.attentionScale = limits.scale.map { Float($0) }
        let (heads, groups, d) = (4, 2, 4)
        let device = CPUDevice(team: ThreadTeam(threadCount: 2))
        let arena = ActivationArena(
            configuration: configuration,
            rows: 2 * length,
            keeping: .none,
            device: device
        )
        let layer = arena.layers[0]
        let q = Self.values(2 * length * heads * d, seed: 12)
        let k = Self.values(2 * length * groups * d, seed: 13)
        let v = Self.values(k.count, seed: 14)
        let dOut = Self.values(q.count, seed: 15)
        device.upload(q, to: layer.query)
        device.upload(k, to: layer.key)
        device.upload(v, to: layer.value)
        let attention = WholeSequences(
            configuration: configuration,
            length: length,
            device: device
        )
        attention.forward(layer: 0, slot: layer)
        let gradients = AttentionTensors(
            query: device.tensor(rows: 2 * length, columns: heads * d),
            key: device.tensor(rows: 2 * length, columns: groups * d),
            value: device.tensor(rows: 2 * length, columns: groups * d),
            output: DeviceTensor(dOut, columns: heads * d, on: device)
        )
        attention.backward(layer: 0, slot: layer, gradients: gradients)
        let (dq, dk) = (gradients.query.values, gradients.key.values)
        let reference = AttentionReference(
            length: length,
            heads: heads,
            groups: groups,
            headDimension: d,
            limits: limits
        )
        let (qd, kd, vd) = (q.map(Double.init), k.map(Double.init), v.map(Double.init))
        let weights = dOut.map(Double.init)
        #expect(
            relativeError(layer.attention.values, reference(qd, kd, vd).map { Float($0) })
                <= tolerance
        )
        let expectedQ = Self.differences(qd, weights: weights) { reference($0, kd, vd) }
        let expectedK = Self.differences(kd, weights: weights) { reference(qd, $0, vd) }
        let expectedV = Self.differences(vd, weights: weights) { reference(qd, kd, $0) }
        if length > 1 && limits.window != 1 {
            #expect(relativeError(dq, expectedQ) <= tolerance)
            #expect(relativeError(dk, expectedK) <= tolerance)
        } else {
            // A position that attends to itself alone: queries and keys have no effect.
            #expect(dq.allSatisfy { abs($0) <= 1e-6 })
            #expect(dk.allSatisfy { abs($0) <= 1e-6 })
        }
        #expect(relativeError(gradients.value.values, expectedV) <= tolerance)
    }

    @Test func embedding() {
        let table = Self.values(5 * 3, seed: 16)
        let tokens: [Int32] = [4, 0, 4, 2]
        let dOut = Self.values(12, seed: 17)
        var gradient = [Float](repeating: 0, count: 15)
        DecoderKernels.embedGradient(
            tableGradient: &gradient,
            outputGradient: dOut,
            tokens: tokens,
            rows: 4,
            width: 3
        )
        let expected = Self.differences(table.map(Double.init), weights: dOut.map(Double.init)) {
            table in tokens.flatMap { table[Int($0) * 3..<Int($0) * 3 + 3] }
        }
        #expect(relativeError(gradient, expected) <= tolerance)
    }

    @Test(arguments: [2, 8, 19])
    func crossEntropy(vocabulary: Int) {
        let logits = Self.values(3 * vocabulary, seed: 18, scale: 3)
        let targets: [Int32] = [1, -1, 0]
        func forward(_ x: [Double]) -> [Double] {
            (0..<3).map { row in
                guard targets[row] >= 0 else {
                    return 0
                }
                let r = x[row * vocabulary..<(row + 1) * vocabulary]
                let sum = r.reduce(0) { $0 + exp($1) }
                return log(sum) - r[r.startIndex + Int(targets[row])]
            }
        }
        var gradient = logits
        let sum = LossKernels.crossEntropy(
            logits: &gradient,
            targets: targets,
            rows: 3,
            vocabularySize: vocabulary,
            gradientScale: 0.5
        )
        let x = logits.map(Double.init)
        #expect(abs(sum.loss - forward(x).reduce(0, +)) <= tolerance)
        #expect(sum.rows == 2)
        let expected = Self.differences(x, weights: [0.5, 0.5, 0.5], forward)
        #expect(relativeError(gradient, expected) <= tolerance)
    }

    @Test(arguments: [1.0, 2.0])
    func klDivergence(temperature: Double) {
        let v = 11
        let student = Self.values(2 * v, seed: 19, scale: 2)
        let teacher = Self.values(2 * v, seed: 20, scale: 2)
        func logSoftmax(_ x: ArraySlice<Double>) -> [Double] {
            let sum = x.reduce(0) { $0 + exp($1 / temperature) }
            return x.map { $0 / temperature - log(sum) }
        }
        func forward(_ s: [Double]) -> [Double] {
            (0..<2).map { row in
                let range = row * v..<(row + 1) * v
                let p = logSoftmax(teacher.map(Double.init)[range])
                let q = logSoftmax(s[range])
                let sum = zip(p, q).reduce(0) { $0 + exp($1.0) * ($1.0 - $1.1) }
                return sum * temperature * temperature
            }
        }
        var gradient = student
        var probabilities = teacher
        let sum = LossKernels.divergence(
            .forward,
            student: &gradient,
            teacher: &probabilities,
            rows: 2,
            vocabularySize: v,
            temperature: Float(temperature),
            gradientScale: 1
        )
        let s = student.map(Double.init)
        #expect(abs(sum.loss - forward(s).reduce(0, +)) <= tolerance)
        #expect(
            relativeError(gradient, Self.differences(s, weights: [1, 1], forward)) <= tolerance
        )
    }
}

/// Grouped-query causal attention in Double.
struct AttentionReference {
    /// What a layer's attention has beyond Llama's.
    struct Limits: Sendable {
        var window: Int?
        var softCap: Double?
        var scale: Double?
    }

    static let limits = [
        Limits(window: 1), Limits(window: 3), Limits(window: 5, softCap: 0.7),
        Limits(softCap: 1.5, scale: 0.9), Limits(scale: 0.3),
    ]

    let length: Int
    let heads: Int
    let groups: Int
    let headDimension: Int
    let limits: Limits

    func callAsFunction(_ q: [Double], _ k: [Double], _ v: [Double]) -> [Double] {
        let d = headDimension
        var out = [Double](repeating: 0, count: q.count)
        for sequence in 0..<2 {
            for head in 0..<heads {
                let group = head / (heads / groups)
                for i in 0..<length {
                    let qi = ((sequence * length + i) * heads + head) * d
                    let at = { (j: Int) in ((sequence * length + j) * groups + group) * d }
                    let visible = max(0, i + 1 - (limits.window ?? length))...i
                    let scores = visible.map { j in
                        let score =
                            (0..<d).reduce(0) { $0 + q[qi + $1] * k[at(j) + $1] }
                            * (limits.scale ?? 1 / Double(d).squareRoot())
                        return limits.softCap.map { $0 * tanh(score / $0) } ?? score
                    }
                    let total = scores.reduce(0) { $0 + exp($1) }
                    for (j, score) in zip(visible, scores) {
                        for c in 0..<d {
                            out[qi + c] += exp(score) / total * v[at(j) + c]
                        }
                    }
                }
            }
        }
        return out
    }
}
