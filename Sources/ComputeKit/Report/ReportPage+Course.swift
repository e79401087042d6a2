extension ReportPage {
    /// How a training went: figures against the step, and every layer's error as time passed.
    public struct Course: Sendable {
        /// A figure against the step.
        public struct Curve: Sendable {
            /// A line of the figure, with its points in the order of steps.
            public struct Line: Sendable {
                /// What it shows.
                public var name: String
                /// Steps and values; what is not finite is left out.
                public var points: [(step: Int, value: Double)]

                /// A line of what is given.
                public init(name: String, points: [(step: Int, value: Double)]) {
                    self.name = name
                    self.points = points
                }
            }

            /// The heading.
            public var title: String
            /// What to say about it.
            public var note: String
            /// Whether values lie by their logarithms.
            public var isLogarithmic: Bool
            /// At most four lines.
            public var lines: [Line]
            /// Values to compare with, as of the model before the first step.
            public var levels: [(name: String, value: Double)]

            /// A figure of what is given.
            public init(
                title: String,
                note: String,
                isLogarithmic: Bool = false,
                lines: [Line],
                levels: [(name: String, value: Double)] = []
            ) {
                self.title = title
                self.note = note
                self.isLogarithmic = isLogarithmic
                self.lines = lines
                self.levels = levels
            }
        }

        /// The modules at one step.
        public struct Sample: Sendable {
            /// The step.
            public var step: Int
            /// What the step rounds to, of a training for several formats.
            public var format: String?
            /// Signal to quantization noise in decibels by module; infinite without error.
            public var sqnrDecibels: [String: Double]

            /// What was measured at a step.
            public init(step: Int, format: String? = nil, sqnrDecibels: [String: Double]) {
                self.step = step
                self.format = format
                self.sqnrDecibels = sqnrDecibels
            }
        }

        /// The figures, in order.
        public var curves: [Curve]
        /// The layers as they were at some steps, in order; a map for each format.
        public var samples: [Sample]

        /// A course of what is given.
        public init(curves: [Curve], samples: [Sample]) {
            self.curves = curves
            self.samples = samples
        }
    }
}
