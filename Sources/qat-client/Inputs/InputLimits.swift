internal import JobSpecs
internal import Jobs
internal import Protocol

/// What a gateway refuses of a job's inputs whatever it knows, found before anything is read or sent.
///
/// - SeeAlso: docs/JOBS.md, limits.
struct InputLimits {
    private let limits: JobLimits

    init(_ limits: JobLimits) { self.limits = limits }

    /// A line for each thing that is wrong, with its place in the job file.
    func faults(_ inputs: [Input]) -> [String] {
        var faults: [String] = []
        for input in inputs {
            let place = JSONPath.path(ofPointer: input.pointer)
            for file in input.files {
                if let fault = PlainText.pathFault(in: file.path, byteLimit: limits.pathBytes) {
                    faults.append("\(place): the path \(PlainText.quoted(file.path)) \(fault)")
                }
            }
        }
        if let fault = limits.sizeFault(of: inputs) { faults.append(fault) }
        return faults
    }
}
