internal import Foundation
internal import ServiceKit
internal import Testing

@testable internal import TrainService

/// What another machine needs to repeat a run.
@Suite struct RunDescriptionTests {
    /// Lines as Linux has them of an Epyc and of a Graviton.
    @Test func processorsAreToldByWhatArithmeticTakes() {
        let x86 = RunDescription.Processor(
            cpuinfo: """
                processor\t: 0
                model name\t: AMD EPYC 9B14
                flags\t\t: fpu sse2 sse4_1 sse4_2 fma f16c avx avx2 avx512f avx512_bf16 rdrand

                processor\t: 1
                model name\t: another
                """,
            kernels: "avx2",
            multipliesBF16: true
        )
        #expect(x86.model == "AMD EPYC 9B14" && x86.kernels == "avx2" && x86.multipliesBf16)
        #expect(
            x86.instructionSets == [
                "sse4_1", "sse4_2", "fma", "f16c", "avx", "avx2", "avx512f", "avx512_bf16",
            ]
        )
        let arm = RunDescription.Processor(
            cpuinfo: "CPU part\t: 0xd0c\nFeatures\t: fp asimd aes asimdhp sve bf16",
            kernels: "neon",
            multipliesBF16: false
        )
        #expect(arm.model == "0xd0c" && arm.instructionSets == ["asimd", "asimdhp", "sve", "bf16"])
        let none = RunDescription.Processor(cpuinfo: "", kernels: "x", multipliesBF16: false)
        #expect(none.model == "unknown" && none.instructionSets.isEmpty)
    }
}
