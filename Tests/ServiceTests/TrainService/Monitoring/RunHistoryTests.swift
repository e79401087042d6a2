internal import Foundation
internal import Testing

@testable internal import TrainService

/// What a run measured: kept, thinned, and written in each of its shapes.
struct RunHistoryTests {
    private static func layer(_ decibels: Double?) throws -> LayerFigures {
        let value = decibels.map { "\($0)" } ?? "null"
        let json = """
            {"mean": 0.5, "std": 0.25, "min": -1, "max": 2, "amax": 2, "mean_absolute_error": 0.125, "sqnr_db": \(value)}
            """
        return try JSONDecoder().decode(LayerFigures.self, from: Data(json.utf8))
    }

    private struct Events: Decodable {
        let rows: String
        let file: Data
    }

    /// Byte for byte what TensorBoard's own writer makes (Fixtures/make_events.py).
    @Test func eventsAreThoseOfTensorBoard() throws {
        let path = try #require(
            Bundle.module.url(forResource: "Fixtures/events", withExtension: "json")
        )
        let events = try JSONDecoder().decode(Events.self, from: Data(contentsOf: path))
        let history = try RunHistory(jsonLines: Data(events.rows.utf8))
        #expect(history.rows.count == 3)
        #expect(TensorBoardFile(history).data == events.file)
    }

    /// The check values of RFC 3720, B.4.
    @Test(
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            ([UInt8](0..<32), 0x46DD_794E), ([], 0), (Array("123456789".utf8), 0xE306_9283),
        ] as [([UInt8], UInt32)]
    )
    func checksumsAreTheStandards(bytes: [UInt8], expected: UInt32) {
        #expect(CRC32C.checksum(bytes) == expected)
    }

    @Test func comesBackAsItWas() throws {
        var history = RunHistory()
        history.append(.init(step: 0, time: 1.5, values: ["ptq_perplexity": 72.75, "odd": .nan]))
        history.append(
            .init(
                step: 7,
                time: 2.25,
                stage: "mxfp4",
                values: ["loss": 0.1, "learning_rate": 1e-300],
                layers: ["a.b": try Self.layer(17.25), "c": try Self.layer(nil)]
            )
        )
        let lines = try history.jsonLines()
        #expect(try RunHistory(jsonLines: lines) == history)
        #expect(history.rows[0].values == ["ptq_perplexity": 72.75])
        let first = String(decoding: lines, as: UTF8.self).split(separator: "\n")[0]
        #expect(first == #"{"ptq_perplexity":72.75,"step":0,"time":1.5}"#)
        #expect(throws: (any Error).self) {
            try RunHistory(jsonLines: Data("{\"step\": \"x\"}\n".utf8))
        }
    }

    @Test func tablesHaveAColumnForEachFigure() throws {
        var history = RunHistory()
        history.append(.init(step: 0, time: 1, values: ["ptq_perplexity": 72.75]))
        history.append(
            .init(
                step: 5,
                time: 2,
                stage: "fp8, fp4",
                values: ["loss": 0.5],
                layers: ["m": try Self.layer(nil)]
            )
        )
        #expect(
            RunRecords.table(of: history)
                == "step,time,stage,loss,ptq_perplexity\r\n0,1.0,,,72.75\r\n5,2.0,\"fp8, fp4\",0.5,\r\n"
        )
        #expect(
            RunRecords.layerTable(of: history)
                == "step,module,mean,std,min,max,amax,mean_absolute_error,sqnr_db,"
                + "saturated_share,gradient_norm,update_ratio,flipped_share\r\n"
                + "5,m,0.5,0.25,-1.0,2.0,2.0,0.125,,,,,\r\n"
        )
    }

    /// Hours of small steps must not make checkpoints grow: figures go, the first, the newest and validations stay.
    @Test func staysSmall() throws {
        var history = RunHistory()
        let layers = ["m": try Self.layer(17)]
        for step in 1...(3 * RunHistory.limit) {
            history.append(
                .init(step: step, time: 0, stage: "mxfp4", values: ["loss": 1], layers: layers)
            )
            if step % 20_000 == 0 {
                history.append(.init(step: step, time: 0, values: ["validation_perplexity": 2]))
            }
        }
        #expect(history.rows.count <= RunHistory.limit + 3)
        #expect(history.rows.count > RunHistory.limit / 3)
        let steps = history.rows.map(\.step)
        #expect(steps == steps.sorted() && steps.first == 1 && steps.last == 3 * RunHistory.limit)
        #expect(history.rows.count { $0.stage == nil } == 3)
        let shown = history.rows.filter { $0.layers != nil }.map(\.step)
        #expect((RunHistory.layerLimit / 3...RunHistory.layerLimit).contains(shown.count))
        #expect(shown.first == 1)
    }

    /// Seen: of a run of 1,000 steps the layers' figures had step 1, then none until 665, and half of them
    /// were the last fifty's.
    @Test(arguments: [1_000, 2_345, 100_000])
    func whatStaysIsSpreadOverTheRun(count: Int) throws {
        var history = RunHistory()
        let layers = ["m": try Self.layer(17)]
        for step in 1...count {
            history.append(
                .init(step: step, time: 0, stage: "mxfp4", values: ["loss": 1], layers: layers)
            )
        }
        func fullness(_ steps: [Int], tenth: Int) -> Int {
            steps.count { ($0 - 1) * 10 / count == tenth }
        }
        let shown = history.rows.filter { $0.layers != nil }.map(\.step)
        let all = history.rows.map(\.step)
        #expect(shown.first == 1 && all.first == 1 && all.last == count)
        #expect((50...100).contains(shown.count) && all.count <= RunHistory.limit)
        // Each tenth of the run has a tenth of them, but for one at its border and the newest.
        for tenth in 0..<10 {
            #expect(abs(fullness(shown, tenth: tenth) * 10 - shown.count) <= 20, "\(shown)")
            #expect(abs(fullness(all, tenth: tenth) * 10 - all.count) <= 20)
        }
    }

    /// Seen: after a pause and its end, each layer's warnings were said again.
    @Test func whatWasWarnedOfGoesWithTheCheckpoint() throws {
        var history = RunHistory()
        history.append(.init(step: 3, time: 1, stage: "mxfp4", values: ["loss": 0.5]))
        history.warned = [" a.b flips", "mxfp4 c noGradient"]
        let again = try RunHistory(jsonLines: history.stored())
        #expect(again == history)
        // The records that a user reads have rows alone.
        #expect(try RunHistory(jsonLines: history.jsonLines()).rows == history.rows)
        #expect(try !String(decoding: history.jsonLines(), as: UTF8.self).contains("warned"))
    }
}
