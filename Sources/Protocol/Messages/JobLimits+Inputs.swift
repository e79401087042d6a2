public import Jobs

extension JobLimits {
    /// Why inputs cannot be leased, or nil.
    public func sizeFault(of inputs: [Input]) -> String? {
        let size = Self.byteCount(of: inputs)
        guard size > inputBytes else { return nil }
        let files = inputs.reduce(0) { $0 + $1.files.count }
        return "\(inputs.count) inputs of \(files) files take \(size) bytes to name; "
            + "the limit is \(inputBytes); pack small files together"
    }

    /// Bytes that inputs take in a lease, a little more than less: text, digests, and eight bytes
    /// for each field's number and length.
    public static func byteCount(of inputs: [Input]) -> Int {
        inputs.reduce(0) { sum, input in
            sum + input.pointer.utf8.count + input.source.utf8.count + 24
                + input.files.reduce(0) { $0 + $1.path.utf8.count + 32 + 32 }
        }
    }
}
