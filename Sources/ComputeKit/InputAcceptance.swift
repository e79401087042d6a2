public import JobInputs
public import JobSpecs
internal import Jobs
public import ServiceKit

extension JobInputs {
    /// Checks a job's inputs before any work.
    ///
    /// The client has checked those that it had, by the same rules; outputs of other jobs and stored
    /// files are seen here first.
    ///
    /// - Returns: What a user should know, for the job's warnings.
    /// - Throws: `ComputeFailure` (`userError`) with everything that is wrong.
    public static func accept(
        _ spec: JobSpec,
        _ request: ComputeRequest,
        _ reporter: ComputeReporter
    ) throws -> [String] {
        reporter.progress(phase: "check inputs")
        let inputs = JobInputs(
            spec,
            paths: request.inputs,
            version: SuiteVersion.current
        )
        guard inputs.problems.isEmpty else {
            throw ComputeFailure(
                .userError,
                inputs.problems.map(\.description).joined(separator: "; ")
            )
        }
        let names = InputNames(request)
        return inputs.remarks.map { names.replaced(in: $0.description) }
    }
}
