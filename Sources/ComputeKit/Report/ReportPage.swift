/// A page about one job that quantized a model, with training or without: what was done, what it cost, layer by
/// layer, and how it got there.
///
/// ``html()`` writes one file that needs no network and no other file, reads in light and dark,
/// on paper and without scripts, and is well-formed XML as well.
public struct ReportPage: Sendable {
    /// What kind of job the page is about.
    public enum Subject: String, Sendable {
        case quantization = "Post-training quantization report"
        case training = "Training report"
    }

    /// What the page is about.
    public var subject: Subject
    /// The page's heading, as the job's name.
    public var title: String
    /// What to say about the job, in order: method, format, calibration, perplexity and the like.
    public var facts: [(name: String, value: String)]
    /// What a user should know about the whole job.
    public var warnings: [String]
    /// The quantized layers in the model's order.
    public var layers: [Layer]
    /// What each candidate format would cost; empty if formats were not searched.
    public var sensitivities: [Sensitivity]
    /// How a training went; nil without one.
    public var course: Course?

    /// A page of what is given.
    public init(
        subject: Subject = .quantization,
        title: String,
        facts: [(name: String, value: String)] = [],
        warnings: [String] = [],
        layers: [Layer] = [],
        sensitivities: [Sensitivity] = [],
        course: Course? = nil
    ) {
        self.subject = subject
        self.title = title
        self.facts = facts
        self.warnings = warnings
        self.layers = layers
        self.sensitivities = sensitivities
        self.course = course
    }

    /// The page, in UTF-8.
    ///
    /// Every text is escaped. Values that are not finite appear in tables and are left out of
    /// plots, except for an infinite SQNR, which appears as exact in both.
    ///
    /// - Complexity: O(layers); some 1.5 kB per layer.
    public func html() -> String {
        HTMLPage(
            kind: subject.rawValue,
            title: title,
            sections: [
                ReportSummary(page: self).html(),
                course.map { CoursePlots($0).html() } ?? "",
                ReportPlots(page: self).html(),
                ReportTable(layers: layers).html(),
            ],
            script: ReportScript.sorting
        ).html()
    }
}
