public import JobSpecs
internal import Jobs
public import ServiceKit

/// The specification of a request's job, as every service reads it.
public enum JobSpecification {
    /// Parses a request's specification.
    ///
    /// - Parameters:
    ///   - request: The request.
    ///   - service: What the service does, as the end of a sentence: `quantizes`.
    ///   - own: What of a job the service runs; nil of another kind's.
    /// - Returns: The specification, and warnings without lines: the canonical text is one line.
    /// - Throws: `ComputeFailure`: `invalidSpec` of a text that is no job, or one of another kind,
    ///   `userError` of what is not in this version.
    public static func read<Spec>(
        _ request: ComputeRequest,
        service: String,
        _ own: (JobSpec) -> Spec?
    ) throws -> (spec: Spec, warnings: [JobWarning]) {
        let job: ParsedJob
        do {
            job = try ParsedJob(kind: request.kind, json: Array(request.spec.utf8))
        } catch {
            throw ComputeFailure(.invalidSpec, "\(error)")
        }
        guard let spec = own(job.spec) else {
            throw ComputeFailure(
                .invalidSpec,
                "this service \(service); the job's kind is \(request.kind)"
            )
        }
        // Of jobs that wait for machines, parsing leaves it to their workers to refuse.
        if !job.spec.unsupported.isEmpty { throw refusal(of: job.spec.unsupported) }
        return (spec, job.warnings.map(\.withoutLine))
    }

    /// The refusal of what is not in this version.
    public static func refusal(of features: [UnsupportedFeature]) -> ComputeFailure {
        ComputeFailure(
            .userError,
            "not in this version: " + features.map(\.description).joined(separator: "; ")
        )
    }
}
