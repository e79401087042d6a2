/// Models side by side: what each takes, and what was measured of it.
///
/// One value is written as Markdown, CSV, LaTeX and as a page, so that all say the same.
public struct ComparisonTable: Sendable {
    /// Something that was measured of every model.
    public struct Column: Sendable {
        /// The task, with the metric where its name says more.
        public var task: String
        /// The text or the file of questions; empty for none.
        public var text: String
        /// Decimals that are shown.
        public var decimals: Int
        /// Whether a higher figure is the better model; nil if neither is.
        public var isHigherBetter: Bool?

        /// A column.
        public init(task: String, text: String, decimals: Int, isHigherBetter: Bool?) {
            self.task = task
            self.text = text
            self.decimals = decimals
            self.isHigherBetter = isHigherBetter
        }

        /// Both names in one.
        var heading: String { text.isEmpty ? task : "\(task), \(text)" }
    }

    /// A figure.
    public struct Cell: Sendable {
        /// The figure; finite.
        public var value: Double
        /// Both ends of its 95 % interval.
        public var interval: [Double]?
        /// Samples.
        public var count: Int
        /// The share of what another model loses that this one wins back.
        public var recovered: Double?
        /// How it differs from the baseline's; nil of the baseline, and of what is not compared.
        public var difference: Difference?

        /// A figure.
        public init(
            value: Double,
            interval: [Double]?,
            count: Int,
            recovered: Double? = nil,
            difference: Difference? = nil
        ) {
            self.value = value
            self.interval = interval
            self.count = count
            self.recovered = recovered
            self.difference = difference
        }
    }

    /// A figure less the baseline's, on the same samples.
    public struct Difference: Sendable {
        /// The difference.
        public var value: Double
        /// Both ends of its 95 % interval.
        public var interval: [Double]?
        /// How likely one as large is by chance, two-sided; nil where no test says.
        public var probability: Double?

        /// A difference.
        public init(value: Double, interval: [Double]?, probability: Double?) {
            self.value = value
            self.interval = interval
            self.probability = probability
        }
    }

    /// A model.
    public struct Row: Sendable {
        /// Its label.
        public var label: String
        /// Bytes of its tensors as stored.
        public var memoryBytes: Int
        /// Those relative to all parameters in BF16.
        public var memoryRatio: Double
        /// The format of linear layers' inputs; `none` for as they are.
        public var activations: String
        /// The format of keys and values.
        public var cache: String
        /// A figure for each column; nil where it was not measured.
        public var cells: [Cell?]

        /// A row.
        public init(
            label: String,
            memoryBytes: Int,
            memoryRatio: Double,
            activations: String,
            cache: String,
            cells: [Cell?]
        ) {
            self.label = label
            self.memoryBytes = memoryBytes
            self.memoryRatio = memoryRatio
            self.activations = activations
            self.cache = cache
            self.cells = cells
        }
    }

    /// A name for people.
    public var title: String
    /// What is measured, in order.
    public var columns: [Column]
    /// The models, in order.
    public var rows: [Row]
    /// The label that the others are compared with.
    public var baseline: String
    /// The label whose loss `recovered` is a share of; nil for none.
    public var recoveredFrom: String?

    /// A table.
    public init(
        title: String,
        columns: [Column],
        rows: [Row],
        baseline: String,
        recoveredFrom: String? = nil
    ) {
        self.title = title
        self.columns = columns
        self.rows = rows
        self.baseline = baseline
        self.recoveredFrom = recoveredFrom
    }

    /// Below it a difference is marked.
    static let significance = 0.05

    /// Columns in which some model has a share that it won back.
    func hasRecovered(_ column: Int) -> Bool {
        rows.contains { $0.cells[column]?.recovered != nil }
    }

    /// What has to be said below the table.
    var notes: [String] {
        var notes: [String] = []
        let cells = rows.flatMap(\.cells).compactMap(\.self)
        if cells.contains(where: { $0.interval != nil }) {
            notes.append("In brackets: 95 % intervals.")
        }
        if cells.contains(where: { $0.difference?.probability != nil }) {
            notes.append(
                "* differs from \(baseline) with p below \(NumberText.fixed(Self.significance, 2)) on the same samples: "
                    + "McNemar's exact test of right and wrong answers, random signs of windows' differences; not "
                    + "adjusted for how many are compared."
            )
        }
        if let recoveredFrom, columns.indices.contains(where: hasRecovered) {
            notes.append(
                "Recovered: the share of what \(recoveredFrom) loses against \(baseline)."
            )
        }
        return notes
    }
}

extension ComparisonTable.Cell {
    /// The mark of a difference that is hardly chance.
    var mark: String {
        guard let probability = difference?.probability else { return "" }
        return probability < ComparisonTable.significance ? "*" : ""
    }
}
