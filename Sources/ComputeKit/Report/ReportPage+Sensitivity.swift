extension ReportPage {
    /// What the candidate formats would cost one group of modules.
    public struct Sensitivity: Sendable {
        /// One format that the group could have.
        public struct Candidate: Sendable {
            /// The format's name.
            public var format: String
            /// Stored bits per weight, scales included.
            public var bitsPerWeight: Double
            /// The search's measure of error; less is better.
            public var error: Double
            /// Whether the search chose this format.
            public var isChosen: Bool

            /// A candidate of what is given.
            public init(
                format: String,
                bitsPerWeight: Double,
                error: Double,
                isChosen: Bool = false
            ) {
                self.format = format
                self.bitsPerWeight = bitsPerWeight
                self.error = error
                self.isChosen = isChosen
            }
        }

        /// The group's name: a module, a pattern, or modules that share a format.
        public var group: String
        /// The formats that were tried.
        public var candidates: [Candidate]

        /// A group of what is given.
        public init(group: String, candidates: [Candidate]) {
            self.group = group
            self.candidates = candidates
        }
    }
}

extension ReportPage.Sensitivity {
    /// The candidate that was chosen, if one was.
    var chosen: Candidate? { candidates.first(where: \.isChosen) }

    /// Every format that a group could have, those with the fewest bits first.
    static func formats(of sensitivities: [Self]) -> [String] {
        var seen: Set<String> = []
        return sensitivities.flatMap(\.candidates)
            .filter { seen.insert($0.format).inserted }
            .sorted { ($0.bitsPerWeight, $0.format) < ($1.bitsPerWeight, $1.format) }
            .map(\.format)
    }
}
