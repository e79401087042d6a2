/// Where an input of a job comes from, as its submitter wrote it.
public enum InputSource: Sendable, Hashable {
    /// An output of another job.
    case job(id: String, output: String)
    /// Content that the store has already, by the digits of its SHA-256, in small letters.
    case digest(String)
    /// A file or folder of the submitter's, uploaded before; the text is for people only.
    case local(String)

    /// Reads `job:ID[/output]`, `sha256:DIGEST` or anything else, which is local.
    ///
    /// The output is `model` unless said otherwise. The only reader of such texts: where some are refused, that is
    /// judged by what it makes of them.
    public init(_ text: String) {
        if text.hasPrefix("sha256:") {
            self = .digest(text.dropFirst(7).lowercased())
            return
        }
        let parts = text.dropFirst(4).split(
            separator: "/",
            maxSplits: 1,
            omittingEmptySubsequences: false
        )
        guard text.hasPrefix("job:"), let job = parts.first, !job.isEmpty else {
            self = .local(text)
            return
        }
        self = .job(id: String(job), output: parts.count > 1 ? String(parts[1]) : "model")
    }

    /// The job whose output this is, or nil.
    public var job: String? {
        guard case .job(let id, _) = self else { return nil }
        return id
    }
}
