internal import ArgumentParser
internal import Formats
internal import Foundation
internal import Kernels

/// Times kernels beside their reference twins and beside memcpy, on one thread.
struct KernelBenchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels",
        abstract: "Times each kernel beside its reference twin and beside memcpy, on one core."
    )

    @Option(help: "Floats per kernel; 4 Mi are 16 MiB, beyond the second-level cache.")
    var count = 4 << 20
    @Option(help: "Timed repetitions, of references three at most; the median counts.")
    var repeats = 9

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
        let copy = gigabytesPerSecond(Double(count) * 8) {
            target.pointer.update(from: source.pointer, count: count)
        }
        printJSON([("bench", "kernels"), ("kernel", "memcpy"), ("GBps", copy)])
        for format in QuantizationFormat.all {
            timeFormat(format, source, target, copy: copy)
        }
        for codeBits in [4, 6] {
            timePacking(codeBits: codeBits, copy: copy)
        }
        printJSON([
            ("bench", "kernels"), ("kernel", "sgemm_512x1536x576"), ("GFLOPps", matrixProduct()),
        ])
    }

    private func gigabytesPerSecond(
        _ bytes: Double,
        isReference: Bool = false,
        _ work: () -> Void
    ) -> Double {
        work()
        let repeats = isReference ? min(repeats, 3) : repeats
        return bytes / median((0..<repeats).map { _ in timed(work) }) / 1e9
    }

    /// Prints a kernel's bandwidth beside its reference's.
    private func report(
        _ kernel: String,
        bytes: Double,
        copy: Double,
        fast: () -> Void,
        reference: () -> Void
    ) {
        let bandwidth = gigabytesPerSecond(bytes, fast)
        printJSON([
            ("bench", "kernels"), ("kernel", kernel), ("GBps", bandwidth),
            ("ref_GBps", gigabytesPerSecond(bytes, isReference: true, reference)),
            ("share_of_memcpy", bandwidth / copy),
        ])
    }

    private func timeFormat(
        _ format: QuantizationFormat,
        _ source: AlignedBuffer<Float>,
        _ target: AlignedBuffer<Float>,
        copy: Double
    ) {
        // FP32 scales: spans of a row's length. The scale is one under which little saturates.
        let span = format.scaleKind.hasBlocks ? format.blockSize : 1024
        let isTwoLevel = format.scaleKind == .e4m3TwoLevel
        let largest = format.element.grid.maximumValue
        let storage = BlockStorage(
            format: format,
            globalScale: 1 / (isTwoLevel ? largest * 448 : largest)
        )
        let codes = AlignedBuffer<UInt8>(count: count)
        let scales = AlignedBuffer<UInt8>(count: count / span)
        let (input, output, codeBytes, scaleBytes) =
            (source.pointer, target.pointer, codes.pointer, scales.pointer)
        let count = count
        report("fake_quantize_\(format.name)", bytes: Double(count) * 8, copy: copy) {
            QuantizeKernels.fakeQuantize(
                output,
                input,
                count: count,
                blockSize: span,
                storage: storage
            )
        } reference: {
            QuantizeKernels.fakeQuantizeReference(
                output,
                input,
                count: count,
                blockSize: span,
                storage: storage
            )
        }
        report("quantize_\(format.name)", bytes: Double(count) * 5, copy: copy) {
            QuantizeKernels.quantize(
                codes: codeBytes,
                scales: scaleBytes,
                input,
                count: count,
                blockSize: span,
                storage: storage
            )
        } reference: {
            QuantizeKernels.quantizeReference(
                codes: codeBytes,
                scales: scaleBytes,
                input,
                count: count,
                blockSize: span,
                storage: storage
            )
        }
        timeDequantizing(codeBytes, scaleBytes, span: span, storage, into: target, copy: copy)
    }

    private func timeDequantizing(
        _ codeBytes: UnsafePointer<UInt8>,
        _ scaleBytes: UnsafePointer<UInt8>,
        span: Int,
        _ storage: BlockStorage,
        into target: AlignedBuffer<Float>,
        copy: Double
    ) {
        let output = target.pointer
        let count = count
        report("dequantize_\(storage.format.name)", bytes: Double(count) * 5, copy: copy) {
            QuantizeKernels.dequantize(
                output,
                codes: codeBytes,
                scales: scaleBytes,
                count: count,
                blockSize: span,
                storage: storage
            )
        } reference: {
            QuantizeKernels.dequantizeReference(
                output,
                codes: codeBytes,
                scales: scaleBytes,
                count: count,
                blockSize: span,
                storage: storage
            )
        }
    }

    private func timePacking(codeBits: Int, copy: Double) {
        // Four times as many codes as floats: as far beyond the caches.
        let count = count * 4
        let codes = AlignedBuffer<UInt8>(count: count)
        let packed = AlignedBuffer<UInt8>(count: count * codeBits / 8)
        let (codeBytes, packedBytes) = (codes.pointer, packed.pointer)
        let bytes = Double(count) * (1 + Double(codeBits) / 8)
        report("pack_\(codeBits)_bit", bytes: bytes, copy: copy) {
            QuantizeKernels.pack(packedBytes, codes: codeBytes, count: count, codeBits: codeBits)
        } reference: {
            QuantizeKernels.packReference(
                packedBytes,
                codes: codeBytes,
                count: count,
                codeBits: codeBits
            )
        }
        report("unpack_\(codeBits)_bit", bytes: bytes, copy: copy) {
            QuantizeKernels.unpack(
                codeBytes,
                packed: packedBytes,
                count: count,
                codeBits: codeBits
            )
        } reference: {
            QuantizeKernels.unpackReference(
                codeBytes,
                packed: packedBytes,
                count: count,
                codeBits: codeBits
            )
        }
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
                        weight: .rows(w.pointer),
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
