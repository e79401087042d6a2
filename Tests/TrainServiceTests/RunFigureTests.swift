internal import ComputeKit
internal import Foundation
internal import Formats
internal import Kernels
internal import Quantization
internal import ServiceKit
internal import Testing

@testable internal import TrainService
@testable internal import Transformer

/// Each figure of monitoring by its name, on its way from what measures it to streams and files.
@Suite struct RunFigureTests {
    /// A layer of which everything that is measured is another number.
    static func layer(_ module: String = "a", adding more: Double = 0) throws -> LayerMonitor.Layer
    {
        let parameters = try Parameters.random(
            configuration: ModelConfiguration(
                vocabularySize: 32,
                hiddenSize: 32,
                intermediateSize: 64,
                layerCount: 1,
                headCount: 2,
                keyValueHeadCount: 1
            ),
            seed: 1
        )
        let reports = try LayerReport.measure(
            parameters,
            recipe: QuantizationRecipe(defaultFormat: .mxfp4),
            team: ThreadTeam(threadCount: 1)
        )
        var report = try #require(reports.first)
        report.module = module
        report.statistics.mean = 1.5 + more
        report.statistics.standardDeviation = 2.5 + more
        report.statistics.minimum = Float(-3.5 - more)
        report.statistics.maximum = Float(4.5 + more)
        report.statistics.amax = Float(5.5 + more)
        report.statistics.meanAbsoluteError = 6.5 + more
        report.statistics.meanSquaredError = 7.5 + more
        report.statistics.sqnrDecibels = 8.5 + more
        report.statistics.saturatedShare = 9.5 + more
        report.statistics.collapsedShare = 10.5 + more
        return LayerMonitor.Layer(
            report: report,
            course: LayerCourse(
                gradientNorm: 11.5 + more,
                updateRatio: 12.5 + more,
                flippedShare: 13.5 + more,
                flippedSteps: 14
            )
        )
    }

    private static func step(format: String? = nil) throws -> StepMeasurement {
        var progress = ComputeEvent(.progress)
        progress.step = 40
        progress.totalSteps = 90
        progress.precision = "mxfp4"
        progress.loss = 1000
        progress.etaSeconds = 1001
        progress.learningRate = 0.6
        progress.tokensPerSecond = 700
        return StepMeasurement(
            result: StepResult(
                loss: 0.1,
                targetCount: 1,
                divergence: 0.2,
                crossEntropy: 0.3,
                hiddenError: 0.4,
                gradientNorm: 0.5
            ),
            layers: [try layer("b", adding: 100), try layer("a")],
            progress: progress,
            format: format,
            utilization: 0.8,
            peakMemoryByteCount: 900
        )
    }

    @Test func eachFigureOfALayerIsItself() throws {
        let figures = LayerFigures(try Self.layer())
        let expected: [(name: String, value: Double)] = [
            ("mean", 1.5), ("std", 2.5), ("min", -3.5), ("max", 4.5), ("amax", 5.5),
            ("mean_absolute_error", 6.5), ("sqnr_db", 8.5), ("saturated_share", 9.5),
            ("gradient_norm", 11.5), ("update_ratio", 12.5), ("flipped_share", 13.5),
        ]
        #expect(LayerFigure.allCases.map(\.name) == expected.map(\.name))
        #expect(LayerFigure.allCases.map { figures[$0] } == expected.map(\.value))
        let object = try JSONSerialization.jsonObject(with: ResultJSON.data(figures))
        #expect(
            object as? [String: Double]
                == Dictionary(uniqueKeysWithValues: expected.map { ($0.name, $0.value) })
        )
        #expect(
            try JSONDecoder().decode(LayerFigures.self, from: ResultJSON.data(figures)) == figures
        )
    }

    /// Six digits, and nothing of what is not finite: JSON has no such number.
    @Test func figuresAreShortAndFinite() throws {
        var layer = try Self.layer()
        var report = layer.report
        report.statistics.mean = 1.0 / 3
        report.statistics.standardDeviation = .nan
        report.statistics.sqnrDecibels = .infinity
        layer = LayerMonitor.Layer(report: report, course: LayerCourse())
        let figures = LayerFigures(layer)
        #expect(figures[.mean] == 0.333333)
        for figure in [LayerFigure.std, .sqnrDecibels, .gradientNorm, .updateRatio] {
            #expect(figures[figure] == nil, "\(figure)")
        }
    }

    /// Of two layers, whose figures are 100 apart.
    @Test func eachFigureOfAStepIsItself() throws {
        let row = try Self.step().row(time: 12.5)
        let expected: [String: Double] = [
            "loss": 0.1, "divergence": 0.2, "cross_entropy": 0.3, "hidden_error": 0.4,
            "gradient_norm": 0.5, "mean_absolute_error_max": 106.5, "sqnr_db_min": 8.5,
            "update_ratio_max": 112.5, "flipped_share_mean": 63.5, "learning_rate": 0.6,
            "tokens_per_second": 700, "model_flops_utilization": 0.8, "peak_memory_bytes": 900,
        ]
        let found = row.values.map { ($0.key.rawValue, $0.value) }
        #expect(Dictionary(uniqueKeysWithValues: found) == expected)
        #expect(row.step == 40 && row.time == 12.5 && row.stage == "mxfp4" && row.format == nil)
        #expect(row.layers?["b"]?[.mean] == 101.5 && row.layers?["a"]?[.mean] == 1.5)
        // All others are of validations and of going back.
        #expect(
            Set(RunFigure.allCases.map(\.rawValue)).subtracting(expected.keys) == [
                "baseline_perplexity", "ptq_perplexity", "start_perplexity",
                "validation_perplexity", "qat_perplexity", "rolled_back_from",
                "learning_rate_factor",
            ]
        )
    }

    /// What the progress of the step says already is not said twice.
    @Test func streamsHaveTheFiguresOfTheStep() throws {
        let step = try Self.step(format: "mxfp8")
        let message = RowMessage(row: step.row(time: 1), worstLayer: step.worst?.report.module)
        let told = try #require(
            try JSONSerialization.jsonObject(with: ResultJSON.data(message)) as? [String: Any]
        )
        #expect(
            Set(told.keys) == [
                "format", "loss", "divergence", "cross_entropy", "hidden_error", "gradient_norm",
                "mean_absolute_error_max", "sqnr_db_min", "update_ratio_max", "flipped_share_mean",
                "worst_layer", "layers",
            ]
        )
        #expect(told["format"] as? String == "mxfp8" && told["worst_layer"] as? String == "a")
        #expect(told["loss"] as? Double == 0.1 && told["sqnr_db_min"] as? Double == 8.5)
        #expect((told["layers"] as? [String: Any])?.count == 2)
    }

    /// Whoever adds a figure says what it is.
    @Test func theDocumentNamesEachFigure() throws {
        let root = URL(filePath: #filePath).resolvingSymlinksInPath()
            .appending(path: "../../..").standardized
        let text = try String(
            contentsOf: root.appending(path: "docs/MONITORING.md"),
            encoding: .utf8
        )
        let names = RunFigure.allCases.map(\.rawValue) + LayerFigure.allCases.map(\.name)
        #expect(names.filter { !text.contains("`\($0)`") } == [])
    }
}
