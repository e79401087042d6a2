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
        let size = Self.byteCount(of: inputs)
        if size > limits.inputBytes {
            let files = inputs.reduce(0) { $0 + $1.files.count }
            faults.append(
                "\(inputs.count) inputs of \(files) files take \(size) bytes to name; the limit is "
                    + "\(limits.inputBytes); pack small files together"
            )
        }
        return faults
    }

    /// Bytes that inputs take in a lease: text, digests, and eight bytes for each field's number and length.
    private static func byteCount(of inputs: [Input]) -> Int {
        inputs.reduce(0) { sum, input in
            sum + input.pointer.utf8.count + input.source.utf8.count + 24
                + input.files.reduce(0) { $0 + $1.path.utf8.count + 32 + 32 }
        }
    }
}
