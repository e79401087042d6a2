internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Quantization

/// Steps that are learned: their gradient, and what is stored of them.
struct LearnedScalesTests {
    private struct Case: Decodable {
        let format: String
        let block: Int
        let factor: Float
        let weight: [Float]
        let upstream: [Float]
        let step: [Float]
        let stored: [Float]
        let gradient: [Double]
    }

    private struct Fixture: Decodable {
        let cases: [Case]
    }

    private static let team = ThreadTeam(threadCount: 2)

    /// Against `Fixtures/make_learned_scales.py`: PyTorch's autograd through the paper's quantizer.
    @Test func gradientsAndStoredStepsEqualPyTorch() throws {
        let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
        let data = try Data(contentsOf: folder.appending(path: "learned_scales.json"))
        let cases = try JSONDecoder().decode(Fixture.self, from: data).cases
        #expect(cases.count == 4)
        for item in cases {
            var format = try #require(QuantizationFormat(algorithm: item.format))
            format.blockSize = item.block
            let storage = BlockStorage(format: format, globalScale: item.factor)
            var steps = item.step
            var bytes = [UInt8](repeating: 0, count: steps.count)
            QuantizeKernels.encodeSteps(&bytes, &steps, count: steps.count, storage: storage)
            #expect(steps == item.step)
            let scales = BlockScales(blocks: bytes, factors: [item.factor])
            #expect(scales.steps(format) == item.stored, "\(item.format)")
            var gradient = [Float](repeating: 0, count: steps.count)
            let largest = format.element.grid.maximumValue
            let weight = AlignedBuffer<Float>(count: item.weight.count)
            weight.pointer.update(from: item.weight, count: weight.count)
            scales.withBytes { scales in
                BlockQuantizer.scaleGradient(
                    &gradient,
                    ofRounded: item.upstream,
                    source: .init(weight.pointer, rows: steps.count, columns: item.block),
                    format: format,
                    scales: scales,
                    factor: 1 / (Float(item.block) * largest).squareRoot(),
                    team: Self.team
                )
            }
            for (found, expected) in zip(gradient, item.gradient) {
                #expect(abs(Double(found) - expected) <= 1e-5 * max(1, abs(expected)))
            }
        }
    }

    /// Where all values of a block saturate, its values move with its step, and the gradient is that of
    /// small differences.
    @Test func gradientOfSaturatedBlocksIsThatOfDifferences() {
        let format = QuantizationFormat.nvfp4
        let values: [Float] = (0..<16).map { (index: Int) -> Float in
            let magnitude = Float(7 + index)
            return index % 2 == 0 ? magnitude : -magnitude
        }
        let upstream: [Float] = (0..<16).map { (index: Int) -> Float in
            Float(index * index % 7) - 2.5
        }
        // The byte of 1: the factor is the step.
        let bytes: [UInt8] = [0x38]
        func loss(_ factor: Float) -> Double {
            var rounded = values
            BlockScales(blocks: bytes, factors: [factor]).withBytes {
                BlockQuantizer.fakeQuantize(
                    values,
                    into: &rounded,
                    rows: 1,
                    columns: 16,
                    format: format,
                    scales: $0,
                    team: Self.team
                )
            }
            return zip(rounded, upstream).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        var gradient: Float = 0
        let weight = AlignedBuffer<Float>(count: 16)
        weight.pointer.update(from: values, count: 16)
        BlockScales(blocks: bytes, factors: [1]).withBytes {
            BlockQuantizer.scaleGradient(
                &gradient,
                ofRounded: upstream,
                source: .init(weight.pointer, rows: 1, columns: 16),
                format: format,
                scales: $0,
                factor: 1,
                team: Self.team
            )
        }
        let difference = (loss(1.0625) - loss(0.9375)) / 0.125
        #expect(abs(Double(gradient) - difference) < 1e-4)
    }

    /// The nearest power of two and the nearest E4M3; what no byte is near is put within reach.
    @Test func stepsAreStoredAsTheNearestScale() {
        let power = BlockStorage(format: .mxfp4)
        var steps: [Float] = [1, 1.49, 1.5, 0.75, 0.74, -3, 0, .nan, 0x1p-140, 0x1p127, 3e38]
        var bytes = [UInt8](repeating: 7, count: steps.count)
        QuantizeKernels.encodeSteps(&bytes, &steps, count: steps.count, storage: power)
        #expect(bytes == [127, 127, 128, 127, 126, 0, 0, 0, 0, 252, 252])
        #expect(steps[5] == 0x1p-127 && steps[7] == 0x1p-127 && steps[10] == 0x1p125)
        let two = BlockStorage(format: .nvfp4, globalScale: 0.5)
        steps = [0.5, 0.53125, 0.5625, 224, 1000, 0, -1]
        bytes = [UInt8](repeating: 7, count: steps.count)
        QuantizeKernels.encodeSteps(&bytes, &steps, count: steps.count, storage: two)
        // 1, the tie between 1 and 1.125, 1.125, 448, and the ends.
        #expect(bytes == [0x38, 0x38, 0x39, 0x7E, 0x7E, 1, 1])
        #expect(steps[4] == 224 && steps[6] == 0x1p-10)
    }
}
