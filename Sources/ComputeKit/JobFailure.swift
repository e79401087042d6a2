internal import Jobs
internal import ModelFiles
internal import Quantization
public import ServiceKit
internal import Transformer

/// Tells whose fault an error of the numeric modules is, in the words of job reasons.
public enum JobFailure {
    /// Runs `work`; errors of files, recipes and texts become the user's, a lost loss a divergence.
    ///
    /// Messages name inputs as the job file does, see ``InputNames``.
    ///
    /// - Throws: `ComputeFailure`.
    public static func translating<Result>(
        _ request: ComputeRequest,
        _ work: () throws -> Result
    ) throws -> Result {
        do {
            return try work()
        } catch {
            guard let failure = failure(error) else { throw error }
            throw ComputeFailure(
                failure.reason,
                InputNames(request).replaced(in: failure.message)
            )
        }
    }

    private static func failure(_ error: any Error) -> ComputeFailure? {
        switch error {
        case let error as ComputeFailure: error
        case let error as ModelFileError:
            ComputeFailure(reason(of: error.code), error.message)
        case let error as QuantizationError: ComputeFailure(.userError, error.message)
        case let error as TransformerError:
            ComputeFailure(reason(of: error.code), error.message)
        default: nil
        }
    }

    private static func reason(of code: ModelFileError.Code) -> JobReason {
        switch code {
        case .noSpace: .noDisk
        case .inputOutput, .malformed, .unsupported, .tooShort, .corrupt: .userError
        }
    }

    private static func reason(of code: TransformerError.Code) -> JobReason {
        switch code {
        case .diverged: .diverged
        case .invalidConfiguration, .invalidRecipe, .parameterMismatch, .invalidTokens, .nonFinite:
            .userError
        }
    }
}
