internal import JobSpecs
internal import Jobs
internal import Protocol

/// What a submission must keep to, so that whatever is accepted can be leased, listed and shown.
struct SubmissionRules: Sendable {
    let limits: JobLimits

    /// Checks all that does not depend on other jobs.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) that names the field and its limit.
    func check(_ submission: JobEngine.Submission) throws {
        try checkKey(submission.key)
        try check(submission.name, "the name", limits.nameBytes)
        guard submission.spec.count <= limits.specBytes else {
            throw Self.refusal(
                "the specification has \(submission.spec.count) bytes in canonical form; "
                    + "the limit is \(limits.specBytes)"
            )
        }
        guard submission.inputs.count <= limits.inputs else {
            throw Self.refusal(
                "\(submission.inputs.count) inputs; a job has at most \(limits.inputs)"
            )
        }
        guard submission.after.count <= limits.predecessors else {
            throw Self.refusal(
                "\(submission.after.count) jobs to start after; the limit is \(limits.predecessors)"
            )
        }
        for id in submission.after {
            try check(id, "after", limits.keyBytes)
        }
        for input in submission.inputs {
            try check(input)
        }
        if let fault = limits.sizeFault(of: submission.inputs) {
            throw Self.refusal(fault)
        }
    }

    /// The same of one of several; `place` names it.
    func check(_ submission: JobEngine.Submission, place: String) throws {
        do {
            try check(submission)
        } catch let error as StoreError {
            throw StoreError(error.code, place + error.message)
        }
    }

    func checkKey(_ key: String) throws {
        guard !key.isEmpty else {
            throw Self.refusal("the key is empty; it has 1 to \(limits.keyBytes) bytes")
        }
        try check(key, "the key", limits.keyBytes)
    }

    /// Why a deadline is refused at a moment, or nil.
    func fault(inDeadline deadline: Int64?, at moment: Moment) -> String? {
        guard let deadline else { return nil }
        guard deadline > moment.unix else { return "the deadline has passed already" }
        return deadline - moment.unix <= limits.deadlineReach
            ? nil : "the deadline is more than ten years away"
    }

    private func check(_ input: Input) throws {
        let place = PlainText.quoted(input.pointer)
        try check(input.pointer, "an input's pointer", limits.pathBytes)
        try check(input.source, "\(place): the source", limits.sourceBytes)
        if case .job(let id, let output) = InputSource(input.source) {
            guard PlainText.pathFault(in: id, byteLimit: limits.keyBytes) == nil,
                PlainText.pathFault(in: output, byteLimit: limits.pathBytes) == nil
            else {
                throw Self.refusal(
                    "\(place): \(PlainText.quoted(input.source)) is not job:ID or job:ID/OUTPUT"
                )
            }
            guard input.files.isEmpty else {
                throw Self.refusal("\(place): the files of job:ID are that job's to name")
            }
        }
        try checkUnique(input.files.map(\.path), place)
        for file in input.files {
            if let fault = PlainText.pathFault(in: file.path, byteLimit: limits.pathBytes) {
                throw Self.refusal("\(place): the path \(PlainText.quoted(file.path)) \(fault)")
            }
        }
    }

    func check(_ text: String, _ what: String, _ byteLimit: Int) throws {
        if let fault = PlainText.fault(in: text, byteLimit: byteLimit) {
            throw Self.refusal("\(what) \(PlainText.quoted(text, byteLimit: 80)) \(fault)")
        }
    }

    /// Checks what an attempt leaves.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) that names the output and its limit.
    func check(_ outputs: [OutputFile], results: [UInt8]) throws {
        guard results.count <= limits.resultBytes else {
            throw Self.refusal(
                "the results have \(results.count) bytes; the limit is \(limits.resultBytes)"
            )
        }
        guard results.isEmpty || Self.isObject(results) else {
            throw Self.refusal("the results are no JSON object")
        }
        try check(outputs, byteLimit: limits.outputBytes)
    }

    /// Checks a checkpoint's step and files.
    ///
    /// `maximumSteps`: Steps that the job takes at most, if that is known.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) that names the step or file and its limit.
    func check(_ checkpoint: Checkpoint, maximumSteps: UInt64?) throws {
        if let maximumSteps, checkpoint.step > maximumSteps {
            throw Self.refusal(
                "a checkpoint of step \(checkpoint.step); the job takes \(maximumSteps) steps at most"
            )
        }
        guard checkpoint.step <= limits.steps else {
            throw Self.refusal(
                "a checkpoint of step \(checkpoint.step); the limit is \(limits.steps)"
            )
        }
        let files = checkpoint.files
        guard !files.isEmpty else {
            throw Self.refusal("the checkpoint has no files")
        }
        try check(files, byteLimit: limits.checkpointBytes)
    }

    private func check(_ outputs: [OutputFile], byteLimit: Int) throws {
        try checkUnique(outputs.map(\.name), "the outputs")
        for output in outputs {
            if let fault = PlainText.pathFault(in: output.name, byteLimit: limits.pathBytes) {
                throw Self.refusal("the name \(PlainText.quoted(output.name)) \(fault)")
            }
        }
        let size = outputs.reduce(0) { $0 + $1.name.utf8.count + 32 + 32 }
        guard size <= byteLimit else {
            throw Self.refusal(
                "\(outputs.count) files take \(size) bytes to name; the limit is \(byteLimit)"
            )
        }
    }

    /// Names that can lie in one folder: no two alike, and no file where another's folder is.
    private func checkUnique(_ names: [String], _ place: String) throws {
        // By bytes, as file systems tell names apart.
        var files: Set<[UInt8]> = []
        for name in names where !files.insert(Array(name.utf8)).inserted {
            throw Self.refusal("\(place): two files are called \(PlainText.quoted(name))")
        }
        for name in names {
            var folder = name.utf8[...]
            while let slash = folder.lastIndex(of: UInt8(ascii: "/")) {
                folder = folder[..<slash]
                guard !files.contains(Array(folder)) else {
                    throw Self.refusal(
                        "\(place): \(PlainText.quoted(String(Substring(folder)))) is a file, and the "
                            + "folder of \(PlainText.quoted(name))"
                    )
                }
            }
        }
    }

    /// Whether bytes are a JSON object, of a depth that every reader takes.
    static func isObject(_ json: [UInt8]) -> Bool {
        guard let document = try? JSONParser.parse(json), case .object = document.value else {
            return false
        }
        return true
    }

    static func refusal(_ message: String) -> StoreError {
        StoreError(.invalidArgument, message)
    }
}
