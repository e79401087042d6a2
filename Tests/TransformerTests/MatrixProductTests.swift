internal import Kernels
internal import Testing

@testable internal import Transformer

/// Products sliced over threads.
struct MatrixProductTests {
    /// Rows of the input, its width, and the output's.
    struct Shape: CustomTestStringConvertible, Sendable {
        let rows: Int
        let input: Int
        let output: Int

        var testDescription: String { "\(rows) × \(input) to \(output)" }
    }

    /// Below and above the sizes at which slices and OpenBLAS's kernels change, with odd rests.
    private static let shapes = [
        Shape(rows: 1, input: 576, output: 1536), Shape(rows: 3, input: 64, output: 320),
        Shape(rows: 37, input: 100, output: 200), Shape(rows: 80, input: 64, output: 32),
        Shape(rows: 130, input: 96, output: 1000), Shape(rows: 250, input: 300, output: 700),
        Shape(rows: 515, input: 192, output: 577), Shape(rows: 1021, input: 65, output: 130),
    ]

    private static func values(_ count: Int, seed: UInt64) -> [Float] {
        var random = SplitMix64(seed: seed)
        return (0..<count).map { _ in Float(random.uniform()) - 0.5 }
    }

    private struct Products: Equatable {
        var output: [Float]
        var inputGradient: [Float]
        var weightGradient: [Float]
    }

    private static func products(
        _ shape: Shape,
        threads: Int,
        operands: OperandPrecision = .float32,
        isPacked: Bool = false
    ) -> Products {
        let product = MatrixProduct(team: ThreadTeam(threadCount: threads), operands: operands)
        let (m, k, n) = (shape.rows, shape.input, shape.output)
        let input = values(m * k, seed: 1)
        let weight = values(n * k, seed: 2)
        let gradient = values(m * n, seed: 3)
        var found = Products(
            output: values(m * n, seed: 4),
            inputGradient: values(m * k, seed: 5),
            weightGradient: values(n * k, seed: 6)
        )
        product.linear(
            output: &found.output,
            input: input,
            weight: weight,
            isPacked: isPacked,
            rows: m,
            inputWidth: k,
            outputWidth: n
        )
        product.linearInputGradient(
            &found.inputGradient,
            accumulating: 1,
            outputGradient: gradient,
            weight: weight,
            isPacked: isPacked,
            rows: m,
            inputWidth: k,
            outputWidth: n
        )
        product.linearWeightGradient(
            &found.weightGradient,
            outputGradient: gradient,
            input: input,
            rows: m,
            inputWidth: k,
            outputWidth: n
        )
        return found
    }

    @Test(arguments: shapes)
    func areTheSameForAnyNumberOfThreads(shape: Shape) {
        let one = Self.products(shape, threads: 1)
        for threads in [2, 3, 5, 16] {
            let found = Self.products(shape, threads: threads)
            #expect(found.output == one.output, "\(threads) threads")
            #expect(found.inputGradient == one.inputGradient, "\(threads) threads")
            #expect(found.weightGradient == one.weightGradient, "\(threads) threads")
        }
    }

    @Test(arguments: shapes)
    func equalTheirDefinition(shape: Shape) {
        let found = Self.products(shape, threads: 3)
        let (m, k, n) = (shape.rows, shape.input, shape.output)
        let input = Self.values(m * k, seed: 1)
        let weight = Self.values(n * k, seed: 2)
        var expected = [Float](repeating: 0, count: m * n)
        for row in 0..<m {
            for column in 0..<n {
                var sum = 0.0
                for index in 0..<k {
                    sum += Double(input[row * k + index]) * Double(weight[column * k + index])
                }
                expected[row * n + column] = Float(sum)
            }
        }
        #expect(relativeError(found.output, expected) <= 1e-5)
    }

    /// A processor without the instructions computes with FP32 operands: then the bounds hold the more.
    @Test(arguments: shapes)
    func roundedOperandsGiveTheSameForAnyNumberOfThreads(shape: Shape) {
        let one = Self.products(shape, threads: 1, operands: .bfloat16)
        for threads in [2, 3, 5, 16] {
            #expect(
                Self.products(shape, threads: threads, operands: .bfloat16) == one,
                "\(threads) threads"
            )
        }
    }

    /// Packing is rounding and a place: forward and, turned, backward.
    @Test(arguments: shapes)
    func packedWeightsGiveTheSame(shape: Shape) {
        let once = Self.products(shape, threads: 3, operands: .bfloat16, isPacked: true)
        #expect(once == Self.products(shape, threads: 2, operands: .bfloat16))
    }

    /// A head that is turned in several groups, the last of them a rest, as one whose rows are packed whole.
    @Test(
        .enabled(if: OperandPrecision.bfloat16.isSupported),
        arguments: [1, 2]
    )
    func headsAreTurnedPieceByPiece(threads: Int) {
        let (rows, width, vocabulary) = (3, 300, 131_073)
        let product = MatrixProduct(team: ThreadTeam(threadCount: threads), operands: .bfloat16)
        // Far below all of the head's.
        let words = MatrixProduct.transposedCount(
            rows: vocabulary,
            columns: width,
            operands: .bfloat16,
            threads: threads
        )
        #expect(words < 300 * vocabulary / 2 * 9 / 10)
        let weight = AlignedBuffer<Float>(count: vocabulary * width)
        for index in 0..<weight.count { weight.pointer[index] = Float(index * 37 % 1009) - 504 }
        let packed = AlignedBuffer<UInt32>(
            count: product.packedCount(rows: vocabulary, columns: width)
        )
        product.pack(weight.pointer, rows: vocabulary, columns: width, into: packed.pointer)
        let gradient = Self.values(rows * vocabulary, seed: 3)
        func inputGradient(_ weight: MatrixProduct.Weight) -> [Float] {
            var found = Self.values(rows * width, seed: 5)
            product.linearInputGradient(
                &found,
                accumulating: 1,
                outputGradient: gradient,
                weight: weight,
                rows: rows,
                inputWidth: width,
                outputWidth: vocabulary
            )
            return found
        }
        #expect(inputGradient(.packed(packed.pointer)) == inputGradient(.rows(weight.pointer)))
    }

    /// BF16 has eight significant bits: what is rounded to nearest is off by 2^-9 at most, and errors of
    /// a sum add up like a walk, so that a relative 2^-8 of the whole is far off.
    @Test(arguments: shapes)
    func roundedOperandsGiveNearlyTheSame(shape: Shape) {
        let exact = Self.products(shape, threads: 2)
        let found = Self.products(shape, threads: 2, operands: .bfloat16)
        #expect(relativeError(found.output, exact.output) <= 0x1p-8)
        #expect(relativeError(found.inputGradient, exact.inputGradient) <= 0x1p-8)
        #expect(relativeError(found.weightGradient, exact.weightGradient) <= 0x1p-8)
        guard OperandPrecision.bfloat16.isSupported, shape.input > 64 else { return }
        #expect(found.output != exact.output)
    }

    /// What BF16 holds exactly, it multiplies exactly: here small whole numbers and their sums.
    @Test func whatBF16HoldsIsMultipliedExactly() {
        let (m, k, n) = (37, 101, 70)
        func whole(_ count: Int, _ seed: UInt64) -> [Float] {
            Self.values(count, seed: seed).map { ($0 * 200).rounded() }
        }
        let (input, weight) = (whole(m * k, 1), whole(n * k, 2))
        var (found, exact) = (
            [Float](repeating: 0, count: m * n), [Float](repeating: 0, count: m * n)
        )
        for row in 0..<m {
            for column in 0..<n {
                exact[row * n + column] = (0..<k).reduce(0) {
                    $0 + input[row * k + $1] * weight[column * k + $1]
                }
            }
        }
        MatrixProduct(team: ThreadTeam(threadCount: 2), operands: .bfloat16).linear(
            output: &found,
            input: input,
            weight: weight,
            rows: m,
            inputWidth: k,
            outputWidth: n
        )
        #expect(found == exact)
    }
}
