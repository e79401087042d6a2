internal import Foundation
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
            rows: 3,
            width: width
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

    @Test func rotaryEmbedding() {
        let heads = 2
        let d = 6
        let length = 4
        let configuration = ModelConfiguration(
            vocabularySize: 8,
            hiddenSize: 12,
            intermediateSize: 8,
            layerCount: 1,
            headCount: 2,
            keyValueHeadCount: 2
        )
        let table = RotaryTable(configuration: configuration, positions: length)
        let x = Self.values(length * heads * d, seed: 4)
        let dy = Self.values(x.count, seed: 5)
        func forward(_ x: [Double]) -> [Double] {
            var y = x
            for position in 0..<length {
                for head in 0..<heads {
                    for i in 0..<d / 2 {
                        let angle = Double(position) * pow(10_000, -2 * Double(i) / Double(d))
                        let low = (position * heads + head) * d + i
                        let high = low + d / 2
                        y[low] = x[low] * cos(angle) - x[high] * sin(angle)
                        y[high] = x[high] * cos(angle) + x[low] * sin(angle)
                    }
                }
            }
            return y
        }
        var y = x
        DecoderKernels.rotate(
            &y,
            cosine: table.cosine.pointer,
            sine: table.sine.pointer,
            rows: length,
            sequenceLength: length,
            heads: heads,
            headDimension: d,
            firstPosition: 0
        )
        var dx = dy
        DecoderKernels.unrotate(
            &dx,
            cosine: table.cosine.pointer,
            sine: table.sine.pointer,
            rows: length,
            sequenceLength: length,
            heads: heads,
            headDimension: d,
            firstPosition: 0
        )
        let xd = x.map(Double.init)
        #expect(relativeError(y, forward(xd).map { Float($0) }) <= tolerance)
        let expected = Self.differences(xd, weights: dy.map(Double.init), forward)
        #expect(relativeError(dx, expected) <= tolerance)
    }

    @Test(arguments: [1, 7, 8, 19])
    func swiGLU(count: Int) {
        let gate = Self.values(count, seed: 6, scale: 2)
        let up = Self.values(count, seed: 7)
        let dOut = Self.values(count, seed: 8)
        func forward(_ gate: [Double], _ up: [Double]) -> [Double] {
            zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 }
        }
        var dGate = [Float](repeating: 0, count: count)
        var dUp = dGate
        DecoderKernels.swiGLUGradient(
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
        let expectedGate = Self.differences(g, weights: weights) { forward($0, u) }
        let expectedUp = Self.differences(u, weights: weights) { forward(g, $0) }
        #expect(relativeError(dGate, expectedGate) <= tolerance)
        #expect(relativeError(dUp, expectedUp) <= tolerance)
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

    @Test(arguments: [1, 5, 9])
    func attention(length: Int) throws {
        let configuration = ModelConfiguration(
            vocabularySize: 8,
            hiddenSize: 16,
            intermediateSize: 8,
            layerCount: 1,
            headCount: 4,
            keyValueHeadCount: 2
        )
        let (heads, groups, d) = (4, 2, 4)
        let arena = ActivationArena(configuration: configuration, rows: 2 * length, layerSlots: 1)
        let layer = arena.layers[0]
        let q = Self.values(2 * length * heads * d, seed: 12)
        let k = Self.values(2 * length * groups * d, seed: 13)
        let v = Self.values(k.count, seed: 14)
        let dOut = Self.values(q.count, seed: 15)
        layer.query.update(from: q, count: q.count)
        layer.key.update(from: k, count: k.count)
        layer.value.update(from: v, count: v.count)
        let attention = CausalAttention(
            configuration: configuration,
            batchSize: 2,
            length: length,
            gradients: 1,
            team: ThreadTeam(threadCount: 2)
        )
        attention.forward(layer)
        var dq = [Float](repeating: 0, count: q.count)
        var dk = [Float](repeating: 0, count: k.count)
        var dv = dk
        attention.backward(
            layer,
            attentionGradient: dOut,
            queryGradient: &dq,
            keyGradient: &dk,
            valueGradient: &dv
        )
        let reference = AttentionReference(
            length: length,
            heads: heads,
            groups: groups,
            headDimension: d
        )
        let (qd, kd, vd) = (q.map(Double.init), k.map(Double.init), v.map(Double.init))
        let weights = dOut.map(Double.init)
        let output = UnsafeBufferPointer(start: layer.attention, count: q.count)
        #expect(relativeError(output, reference(qd, kd, vd).map { Float($0) }) <= tolerance)
        let expectedQ = Self.differences(qd, weights: weights) { reference($0, kd, vd) }
        let expectedK = Self.differences(kd, weights: weights) { reference(qd, $0, vd) }
        let expectedV = Self.differences(vd, weights: weights) { reference(qd, kd, $0) }
        if length > 1 {
            #expect(relativeError(dq, expectedQ) <= tolerance)
            #expect(relativeError(dk, expectedK) <= tolerance)
        } else {
            // One position attends to itself alone: queries and keys have no effect.
            #expect(dq.allSatisfy { abs($0) <= 1e-6 } && dk.allSatisfy { abs($0) <= 1e-6 })
        }
        #expect(relativeError(dv, expectedV) <= tolerance)
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
        var losses = [Double](repeating: 0, count: 3)
        let sum = LossKernels.crossEntropy(
            logits: &gradient,
            losses: &losses,
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
        let sum = LossKernels.klDivergence(
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
private struct AttentionReference {
    let length: Int
    let heads: Int
    let groups: Int
    let headDimension: Int

    func callAsFunction(_ q: [Double], _ k: [Double], _ v: [Double]) -> [Double] {
        let d = headDimension
        var out = [Double](repeating: 0, count: q.count)
        for sequence in 0..<2 {
            for head in 0..<heads {
                let group = head / (heads / groups)
                for i in 0..<length {
                    let qi = ((sequence * length + i) * heads + head) * d
                    let at = { (j: Int) in ((sequence * length + j) * groups + group) * d }
                    let scores = (0...i).map { j in
                        (0..<d).reduce(0) { $0 + q[qi + $1] * k[at(j) + $1] }
                            / Double(d).squareRoot()
                    }
                    let total = scores.reduce(0) { $0 + exp($1) }
                    for j in 0...i {
                        for c in 0..<d {
                            out[qi + c] += exp(scores[j]) / total * v[at(j) + c]
                        }
                    }
                }
            }
        }
        return out
    }
}
