internal import ArgumentParser
internal import Foundation
internal import Kernels
internal import Quantization

/// Times kernels beside their reference twins and beside memcpy, on one thread.
struct KernelBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels",
        abstract: "Times each kernel beside its reference twin and beside memcpy, on one core."
    )

    @Option(help: "Floats per kernel; 4 Mi are 16 MiB, beyond the second-level cache.")
    var count = 4 << 20
    @Option(help: "Timed repetitions; the median counts.") var repeats = 9

    func validate() throws {
        guard count >= 1024, count.isMultiple(of: 1024), repeats > 0 else {
            throw ValidationError("--count is a multiple of 1024, --repeats at least 1")
        }
    }

    func run() throws {
        let source = AlignedBuffer<Float>(count: count)
        let target = AlignedBuffer<Float>(count: count)
        for index in 0..<count {
            source.pointer[index] = Float((index &* 2_654_435_761) % 20_011) / 10_005 - 1
        }
        // Read plus written bytes, as memory bandwidth is counted.
        let bytes = Double(count) * 8
        let copy = gigabytesPerSecond(bytes) {
            target.pointer.update(from: source.pointer, count: count)
        }
        printJSON([("bench", "kernels"), ("kernel", "memcpy"), ("GBps", copy)])
        let formats: [QuantizationFormat] = [
            .mxfp4, .mxfp6E2M3, .mxfp6E3M2, .mxfp8, .mxfp8E5M2, .mxint8,
        ]
        for format in formats {
            let fast = gigabytesPerSecond(bytes) {
                fakeQuantize(source, target, format, QuantizeKernels.fakeQuantize)
            }
            let reference = gigabytesPerSecond(bytes) {
                fakeQuantize(source, target, format, QuantizeKernels.fakeQuantizeReference)
            }
            printJSON([
                ("bench", "kernels"), ("kernel", "fake_quantize_\(format.name)"), ("GBps", fast),
                ("ref_GBps", reference), ("share_of_memcpy", fast / copy),
            ])
        }
        printJSON([
            ("bench", "kernels"), ("kernel", "sgemm_512x1536x576"), ("GFLOPps", matrixProduct()),
        ])
    }

    private func gigabytesPerSecond(_ bytes: Double, _ work: () -> Void) -> Double {
        work()
        return bytes / median((0..<repeats).map { _ in timed(work) }) / 1e9
    }

    private func fakeQuantize(
        _ source: AlignedBuffer<Float>,
        _ target: AlignedBuffer<Float>,
        _ format: QuantizationFormat,
        _ kernel: (
            UnsafeMutablePointer<Float>, UnsafePointer<Float>, Int, Int, BlockStorage
        ) -> Void
    ) {
        kernel(
            target.pointer,
            source.pointer,
            count,
            format.blockSize,
            BlockStorage(grid: format.element.grid, scales: .e8m0)
        )
    }

    private func matrixProduct() -> Double {
        let (rows, input, output) = (512, 576, 1536)
        let x = AlignedBuffer<Float>(count: rows * input)
        let w = AlignedBuffer<Float>(count: output * input)
        let y = AlignedBuffer<Float>(count: rows * output)
        let product = MatrixProduct(team: ThreadTeam(threadCount: 1))
        let seconds = median(
            (0..<repeats).map { _ in
                timed {
                    product.linear(
                        output: y.pointer,
                        input: x.pointer,
                        weight: w.pointer,
                        rows: rows,
                        inputWidth: input,
                        outputWidth: output
                    )
                }
            }
        )
        return 2 * Double(rows * input * output) / seconds / 1e9
    }
}
