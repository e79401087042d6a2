internal import Kernels
internal import ModelFiles
internal import Quantization
internal import ServiceKit
internal import Transformer

/// Tells whose fault an error of the numeric modules is, in the words of job reasons.
public enum JobFailure {
    /// Runs `work`; errors of files, recipes and texts become the user's, a lost loss a divergence.
    ///
    /// - Throws: ``ComputeFailure``.
    public static func translating<Result>(_ work: () throws -> Result) throws -> Result {
        do {
            return try work()
        } catch let error as ModelFileError {
            let isDisk = error.message.contains("No space left")
            throw ComputeFailure(isDisk ? .noDisk : .userError, error.message)
        } catch let error as QuantizationError {
            throw ComputeFailure(.userError, error.message)
        } catch let error as TransformerError {
            throw ComputeFailure(error.code == .diverged ? .diverged : .userError, error.message)
        }
    }
}
