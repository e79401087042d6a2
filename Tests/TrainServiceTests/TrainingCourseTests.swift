internal import ComputeKit
internal import Testing

@testable internal import TrainService

/// What a training's page shows of what was measured on the way.
@Suite struct TrainingCourseTests {
    /// Three rows of each format; every figure is another number.
    private static func history(_ formats: [String?]) -> RunHistory {
        var history = RunHistory()
        let values = RunFigure.allCases.enumerated().map { ($1, Double($0 + 1)) }
        for step in [10, 20, 30] {
            for (place, format) in formats.enumerated() {
                let shift = Double(1000 * place + step)
                history.append(
                    .init(
                        step: step - place,
                        time: 0,
                        stage: "",
                        format: format,
                        values: Dictionary(uniqueKeysWithValues: values).mapValues { $0 + shift },
                        layers: ["m": LayerFigures { $0 == .sqnrDecibels ? shift : 1 }]
                    )
                )
            }
        }
        return history
    }

    private static func value(_ figure: RunFigure, place: Int = 0) -> Double {
        Double((RunFigure.allCases.firstIndex(of: figure) ?? -1) + 1 + 1000 * place + 10)
    }

    @Test func curvesShowTheirFigures() {
        let course = TrainingCourse(Self.history([nil]), formats: nil, baseline: 41, ptq: 72).course
        let expected: [(title: String, lines: [(name: String, figure: RunFigure)])] = [
            (
                "Loss",
                [
                    ("loss", .loss), ("divergence", .divergence), ("cross-entropy", .crossEntropy),
                    ("hidden states", .hiddenError),
                ]
            ),
            ("Validation perplexity", [("in training", .validationPerplexity)]),
            ("Gradient norm", [("norm", .gradientNorm)]),
            ("Learning rate", [("rate", .learningRate)]),
            ("Tokens per second", [("tokens/s", .tokensPerSecond)]),
            ("Model FLOPs utilization", [("share", .modelFLOPsUtilization)]),
        ]
        #expect(course.curves.map(\.title) == expected.map(\.title))
        for (curve, wanted) in zip(course.curves, expected) {
            #expect(curve.lines.map(\.name) == wanted.lines.map(\.name))
            #expect(
                curve.lines.map { $0.points.first?.value }
                    == wanted.lines.map { Self.value($0.figure) },
                "\(curve.title)"
            )
        }
        // Validations between steps, and behind them that of the export.
        let validation = course.curves[1]
        #expect(validation.lines[0].points.map(\.step) == [10, 20, 30, 10, 20, 30])
        #expect(validation.lines[0].points[3].value == Self.value(.qatPerplexity))
        #expect(validation.levels.map(\.name) == ["before", "PTQ"])
        #expect(validation.levels.map(\.value) == [41, 72])
        #expect(course.samples.map(\.step) == [10, 20, 30])
        #expect(course.samples.map { $0.sqnrDecibels["m"] } == [10, 20, 30])
    }

    /// Seen: one curve jumped between formats at each step, and one map was striped.
    @Test func formatsAreApart() throws {
        let names = ["mxfp8", "mxfp6", "nvfp4", "mxfp4", "mxint8"]
        let course = TrainingCourse(Self.history(names), formats: names, baseline: nil, ptq: 72)
            .course
        let titles = course.curves.map(\.title)
        #expect(
            titles == names.map { "Loss in \($0)" } + [
                "Validation perplexity in mxfp8, mxfp6, nvfp4, mxfp4",
                "Validation perplexity in mxint8",
                "Gradient norm in mxfp8, mxfp6, nvfp4, mxfp4", "Gradient norm in mxint8",
                "Learning rate", "Tokens per second", "Model FLOPs utilization",
            ]
        )
        for (place, name) in names.enumerated() {
            let loss = try #require(course.curves[place].lines.first)
            #expect(loss.points.map(\.step) == [10 - place, 20 - place, 30 - place])
            #expect(loss.points.first?.value == Self.value(.loss, place: place))
            let norms = course.curves[7...8].flatMap(\.lines)
            #expect(norms[place].name == name)
            #expect(norms[place].points.first?.value == Self.value(.gradientNorm, place: place))
        }
        // The rate is the run's, whichever format a step takes.
        #expect(course.curves[9].lines[0].points.count == 15)
        let samples = course.samples.filter { $0.format == "nvfp4" }
        #expect(samples.map { $0.sqnrDecibels["m"] } == [2010, 2020, 2030])
    }
}
