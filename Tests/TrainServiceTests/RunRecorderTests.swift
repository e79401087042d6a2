internal import ComputeKit
internal import Foundation
internal import Testing

@testable internal import ServiceKit
@testable internal import TrainService
@testable internal import Transformer

/// What is told and kept of steps, and what of it is said once.
@Suite struct RunRecorderTests {
    private let path = NSTemporaryDirectory() + "/qat-recorder-" + UUID().uuidString
    private let recorder: RunRecorder

    init() throws {
        try Data().write(to: URL(filePath: path))
        recorder = RunRecorder(
            ComputeReporter(
                output: try #require(FileHandle(forWritingAtPath: path)),
                isPaced: false
            )
        )
    }

    private var events: [ComputeEvent] {
        get throws {
            try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
                try ComputeEvent(line: String($0))
            }
        }
    }

    private func step(_ step: Int, format: String? = nil, layers: Int = 1) throws {
        var place = ComputeEvent(.progress)
        place.step = step
        place.precision = format ?? "mxfp4"
        place.learningRate = 0.25
        place.tokensPerSecond = 3000
        try recorder.step(
            StepResult(loss: 0.5, targetCount: 1, gradientNorm: 1.5),
            (0..<layers).map { try RunFigureTests.layer("layer.\($0)") },
            at: place,
            in: format
        )
    }

    private var warnings: [String] {
        get throws {
            try events.compactMap(\.message).filter { $0.contains("layer.0") }
        }
    }

    /// Seen: a run that went back said all warnings again, for each of its courses had a recorder of its own.
    @Test func whatWasSaidBeforeGoingBackStaysSaid() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        recorder.begin()
        try step(10)
        let said = try warnings
        // A large mean absolute error, a large step, flips, and blocks that collapse.
        #expect(said.count == 4, "\(said)")
        let kept = [UInt8](try recorder.history.stored())
        try step(20, format: "mxfp8")
        let more = try warnings
        #expect(more.count == 8 && more[4].contains("layer.0 in mxfp8: "), "\(more)")
        // To the start: rows of the lost course are gone.
        recorder.begin()
        #expect(recorder.history.rows.isEmpty)
        try step(10)
        // To a checkpoint that was written before the second warnings.
        recorder.begin()
        recorder.restore(kept)
        #expect(recorder.history.rows.map(\.step) == [10])
        try step(20, format: "mxfp8")
        #expect(try warnings == more)
        // They go into checkpoints that are written from now on; records that cannot be read change nothing.
        let again = try RunHistory(jsonLines: recorder.history.stored())
        #expect(again.warned.count == 8)
        recorder.restore(Array("{".utf8))
        #expect(try events.last?.message?.contains("cannot be read, new ones begin here") == true)
        #expect(recorder.history.warned.count == 8)
    }

    @Test func whatIsTooLongForAMessageIsSaidOnce() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        recorder.begin()
        try step(10, layers: 400)
        recorder.begin()
        try step(20, layers: 400)
        let told = try events
        #expect(
            told.count { $0.message?.contains("of 400 layers do not fit a message") == true } == 1
        )
        let metrics = told.filter { $0.type == .metric }
        #expect(metrics.map(\.step) == [10, 20])
        #expect(metrics.allSatisfy { $0.json?.contains("\"layers\"") == false })
        #expect(recorder.history.rows.last?.layers?.count == 400)
    }

    /// The speed is compared with that of the model's products: 6 operations for each weight and token.
    @Test func theUtilizationIsAShareOfTheProductsRate() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        let work = TrainingWork(
            student: ModelConfiguration(
                vocabularySize: 32,
                hiddenSize: 32,
                intermediateSize: 64,
                layerCount: 1,
                headCount: 2,
                keyValueHeadCount: 1
            ),
            teacher: nil,
            length: 16
        )
        recorder.speed = ComparedSpeed(work: work, productRate: 1e9)
        try step(10)
        let values = try #require(recorder.history.rows.first?.values)
        let expected = work.operationsPerToken * 3000 / 1e9
        #expect(abs((values[.modelFLOPsUtilization] ?? 0) - expected) < 1e-12)
        #expect(values[.tokensPerSecond] == 3000 && values[.learningRate] == 0.25)
        #expect((values[.peakMemoryBytes] ?? 0) > 1e6)
    }

    /// Seen: a logged step without an answer told a loss of 0, and of each layer that no gradient reaches it.
    @Test func aStepThatLearnsNothingHasNoLoss() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        for step in [10, 20] {
            var place = ComputeEvent(.progress)
            place.step = step
            place.precision = "mxfp4"
            let layer = LayerMonitor.Layer(
                report: try RunFigureTests.layer("layer.0").report,
                course: LayerCourse(gradientNorm: 0)
            )
            let result = StepResult(
                loss: 0,
                targetCount: 0,
                divergence: 0,
                crossEntropy: 0,
                hiddenError: 0,
                gradientNorm: 0
            )
            try recorder.step(result, [layer], at: place, in: nil)
        }
        let rows = recorder.history.rows
        #expect(rows.count == 2)
        for row in rows {
            for figure in [RunFigure.loss, .divergence, .crossEntropy, .hiddenError] {
                #expect(row.values[figure] == nil, "\(figure)")
            }
            #expect(row.values[.gradientNorm] == 0)
        }
        let said = try events.compactMap(\.message)
        #expect(!said.contains { $0.contains("no gradient reaches") }, "\(said)")
        #expect(
            said.count { $0.contains("step 10: its windows hold nothing that is learned") } == 1
        )
        #expect(!said.contains { $0.contains("step 20: its windows") }, "once")
    }

    @Test func validationsAndGoingBackAreToldAndKept() throws {
        defer { try? FileManager.default.removeItem(atPath: path) }
        try recorder.validation(step: 20, perplexity: 41.5, in: "mxfp8")
        let divergence = Divergence(step: 30, cause: .spike, loss: 9, level: 2)
        try recorder.keep(RollBack(divergence: divergence, target: 16), step: 16)
        recorder.keep(step: 40, [.qatPerplexity: 40], in: nil)
        #expect(
            try events.compactMap(\.json) == [
                #"{"format":"mxfp8","validation_perplexity":41.5}"#,
                #"{"learning_rate_factor":0.5,"rolled_back_from":30}"#,
            ]
        )
        let rows = recorder.history.rows
        #expect(rows.map(\.step) == [20, 16, 40] && rows.map(\.format) == ["mxfp8", nil, nil])
        #expect(
            rows.map(\.values) == [
                [.validationPerplexity: 41.5], [.rolledBackFrom: 30, .learningRateFactor: 0.5],
                [.qatPerplexity: 40],
            ]
        )
    }
}
