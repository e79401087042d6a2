internal import CBLAS
internal import CKernels

/// What the bits of results depend on beside a program's version: the processor, and the twins and libraries
/// that it has chosen.
public enum ProcessorDescription {
    /// The twins that kernels take: `avx2`, `neon` or `reference`.
    public static var kernels: String {
        #if arch(arm64)
            "neon"
        #else
            qat_uses_avx2() != 0 ? "avx2" : "reference"
        #endif
    }

    /// Whether it multiplies BF16 operands itself.
    public static var multipliesBF16: Bool { BF16Product.isSupported }

    /// OpenBLAS's version and how it was built.
    public static var blasConfiguration: String { text(openblas_get_config()) }

    /// The kind of processor whose kernels OpenBLAS takes, as `Haswell`.
    public static var blasCore: String { text(openblas_get_corename()) }

    private static func text(_ start: UnsafePointer<CChar>?) -> String {
        start.map { String(cString: $0) } ?? ""
    }
}
