internal import JobSpecs
internal import ModelFiles
internal import Transformer

/// Collects what is wrong with a job's inputs, each of which is opened once.
struct InputCheck {
    /// A model that could be opened.
    struct Model {
        let source: any ModelSource
        /// nil if it is not needed, or cannot be read.
        var tokens: TextTokens?

        var configuration: ModelConfiguration { source.configuration }
    }

    /// Windows that a section asks for.
    struct Windows {
        let length: Int
        /// The JSON path of `length`.
        let path: String
        let key: String
        let allowsLong: Bool
        /// Which model is meant, where there are several: `model "b": `.
        var label = ""
    }

    private(set) var problems: [JobInputs.Finding] = []
    private(set) var remarks: [JobInputs.Finding] = []
    /// The job's exports; empty while the model is not at hand.
    var planned: [PlannedExport] = []
    /// The suite's version.
    let version: String
    /// Whether the values of weights and corpora are read, all of them.
    let readsValues: Bool
    let paths: [String: String]
    private var texts: [String: TextFile?] = [:]

    init(paths: [String: String], version: String, readsValues: Bool) {
        self.paths = paths
        self.version = version
        self.readsValues = readsValues
    }

    /// Where an input is; nil if it is not at hand.
    func path(_ pointer: String) -> String? { paths[pointer] }

    mutating func problem(_ path: String, _ message: String) {
        let finding = JobInputs.Finding(path: path, message: message)
        if !problems.contains(finding) { problems.append(finding) }
    }

    mutating func remark(_ path: String, _ message: String) {
        let finding = JobInputs.Finding(path: path, message: message)
        if !remarks.contains(finding) { remarks.append(finding) }
    }

    /// Runs a check; what it throws becomes a problem of the place.
    ///
    /// `label`: What the message begins with; `reason`: what it ends with.
    ///
    /// - Returns: nil if it threw.
    mutating func attempt<Result>(
        _ path: String,
        label: String = "",
        reason: String = "",
        _ work: () throws -> Result
    ) -> Result? {
        do {
            return try work()
        } catch {
            let message = (error as? ModelFileError)?.message ?? "\(error)"
            problem(path, label + message + reason)
            return nil
        }
    }

    /// Opens a model: its headers, its shape, and its tokenizer if something needs that.
    ///
    /// `need`: The place in the job that needs the tokenizer; nil if none does.
    mutating func model(_ pointer: String, tokenizerFor need: (any ModelSource) -> String?)
        -> Model?
    {
        guard let file = paths[pointer] else { return nil }
        let path = JSONPath.path(ofPointer: pointer)
        guard let source = attempt(path, { try ModelLoader.open(path: file) }) else { return nil }
        for name in ModelLoader.markedFiles(of: source.path) {
            remark(path, "\(name): the byte order mark at its start is skipped")
        }
        var model = Model(source: source)
        guard let place = need(source) else { return model }
        let configuration = source.configuration
        let reason = "; \(place) needs the tokenizer"
        guard let tokenizer = attempt(path, reason: reason, { try source.tokenizer() }) else {
            return model
        }
        model.tokens = attempt(path) { try TextTokens(tokenizer, configuration, source.files) }
        let beyond = Vocabulary.addedBeyondRows(of: tokenizer, configuration)
        if model.tokens != nil, let first = beyond.first {
            remark(
                path,
                """
                \(beyond.count) added tokens have no row in the embedding of \
                \(configuration.vocabularySize) rows, as \(first.text.debugDescription) (\(first.id)); \
                texts must not hold them
                """
            )
        }
        return model
    }

    /// Reads all weights of a model whose values the job takes; one that is no number is a problem.
    mutating func weights(_ model: Model?, _ path: String) {
        guard readsValues, let model else { return }
        _ = attempt(path) { try ModelLoader.checkValues(of: model.source) }
    }

    /// Opens and checks a text.
    mutating func text(_ pointer: String, key: String) -> TextFile? {
        if let known = texts[pointer] { return known }
        guard let file = paths[pointer] else { return nil }
        let path = JSONPath.path(ofPointer: pointer)
        let text = attempt(path) { () throws in
            let text = try TextFile(path: file, key: key)
            try text.checkDocuments()
            return text
        }
        texts[pointer] = .some(text)
        for note in text?.notes ?? [] { remark(path, note) }
        return text
    }

    /// Opens a corpus, and checks its index.
    mutating func corpus(_ pointer: String) -> IndexedCorpus? {
        guard let file = paths[pointer] else { return nil }
        return attempt(JSONPath.path(ofPointer: pointer)) { try IndexedCorpus(path: file) }
    }

    /// Opens the texts of a list, and checks that there is a window in them.
    ///
    /// - Parameters:
    ///   - count: How many texts there are.
    ///   - pointer: Where the list is, as `/data/train`.
    ///   - isJoined: Whether a window may lie across texts.
    ///   - windows: What is asked for.
    ///   - model: The model that reads them.
    /// - Returns: The texts, if all are at hand and hold a window.
    @discardableResult
    mutating func texts(
        _ count: Int,
        _ pointer: String,
        isJoined: Bool,
        _ windows: Windows,
        _ model: Model?
    ) -> [TextFile]? {
        var files: [TextFile] = []
        for index in 0..<count {
            if let file = text("\(pointer)/\(index)", key: windows.key) { files.append(file) }
        }
        guard let tokens = model?.tokens else { return nil }
        for (index, file) in files.enumerated() {
            let path = JSONPath.path(ofPointer: "\(pointer)/\(index)")
            _ = attempt(path) { try tokens.requireRows(of: file) }
        }
        // With some of them elsewhere, nothing can be said of all.
        guard count > 0, files.count == count else { return nil }
        let path = JSONPath.path(ofPointer: count == 1 ? pointer + "/0" : pointer)
        let fits: Void? = attempt(path) {
            try TextCorpus.requireWindow(of: windows.length, in: files, isJoined: isJoined, tokens)
        }
        return fits == nil ? nil : files
    }

    /// Checks a length against a model's context.
    mutating func context(_ windows: Windows, name: String = "seq_length", _ model: Model?) {
        guard let model else { return }
        let note = attempt(windows.path, label: windows.label) {
            try ContextLength.check(
                windows.length,
                name: "\(name) \(windows.length)",
                model.configuration,
                allowsLong: windows.allowsLong
            )
        }
        if let note = note ?? nil { remark(windows.path, windows.label + note) }
    }
}
