internal import Foundation
internal import Testing

@testable internal import TrainService

/// What a run measured: kept, thinned, and written in each of its shapes.
struct RunHistoryTests {
    private static func layer(_ decibels: Double?) -> LayerFigures {
        let values: [LayerFigure: Double] = [
            .mean: 0.5, .std: 0.25, .min: -1, .max: 1.5, .amax: 2, .meanAbsoluteError: 0.125,
        ]
        return LayerFigures { $0 == .sqnrDecibels ? decibels : values[$0] }
    }

    private struct Events: Decodable {
        let rows: String
        let file: Data
    }

    /// Byte for byte what TensorBoard's own writer makes (Fixtures/make_events.py), of trainings for one format and
    /// for two.
    @Test func eventsAreThoseOfTensorBoard() throws {
        let path = try #require(
            Bundle.module.url(forResource: "Fixtures/events", withExtension: "json")
        )
        let events = try JSONDecoder().decode([Events].self, from: Data(contentsOf: path))
        #expect(events.count == 2)
        for events in events {
            let history = try RunHistory(jsonLines: Data(events.rows.utf8))
            #expect(history.rows.count == 6)
            #expect(TensorBoardFile(history).data == events.file)
        }
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
        history.append(.init(step: 0, time: 1.5, values: [.ptqPerplexity: 72.75, .loss: .nan]))
        history.append(
            .init(
                step: 7,
                time: 2.25,
                stage: "mxfp4",
                values: [.loss: 0.1, .learningRate: 1e-300],
                layers: ["a.b": Self.layer(17.25), "c": Self.layer(nil)]
            )
        )
        history.append(
            .init(
                step: 8,
                time: 2.5,
                stage: "mxfp8",
                format: "mxfp8",
                values: [:],
                layers: ["c": Self.layer(31)]
            )
        )
        let lines = try history.jsonLines()
        #expect(try RunHistory(jsonLines: lines) == history)
        #expect(history.rows[0].values == [.ptqPerplexity: 72.75])
        let text = String(decoding: lines, as: UTF8.self).split(separator: "\n")
        #expect(text[0] == #"{"ptq_perplexity":72.75,"step":0,"time":1.5}"#)
        #expect(text[2].hasPrefix(#"{"format":"mxfp8","layers":{"c":{"amax":2,"#))
        #expect(throws: (any Error).self) {
            try RunHistory(jsonLines: Data("{\"step\": \"x\"}\n".utf8))
        }
    }

    /// Checkpoints of before had all formats' validations in one line; figures that are none any more are left out.
    @Test func linesOfEarlierVersionsAreRead() throws {
        let lines = """
            {"step": 0, "time": 1, "baseline_perplexity": 42, "ptq_perplexity.mxfp4": 72, "ptq_perplexity.mxfp8": 43}
            {"step": 20, "time": 2, "validation_perplexity.mxfp8": 42.5}
            {"step": 20, "time": 2, "stage": "mxfp4", "of_another_version": 3, "layers": {}}

            """
        let rows = try RunHistory(jsonLines: Data(lines.utf8)).rows
        #expect(
            rows == [
                .init(step: 0, time: 1, values: [.baselinePerplexity: 42]),
                .init(step: 0, time: 1, format: "mxfp4", values: [.ptqPerplexity: 72]),
                .init(step: 0, time: 1, format: "mxfp8", values: [.ptqPerplexity: 43]),
                .init(step: 20, time: 2, format: "mxfp8", values: [.validationPerplexity: 42.5]),
                .init(step: 20, time: 2, stage: "mxfp4", values: [:], layers: [:]),
            ]
        )
    }

    @Test func tablesHaveAColumnForEachFigure() {
        var history = RunHistory()
        history.append(.init(step: 0, time: 1, values: [.ptqPerplexity: 72.75]))
        history.append(
            .init(
                step: 5,
                time: 2,
                stage: "fp8, fp4",
                values: [.loss: 0.5],
                layers: ["m": Self.layer(nil)]
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
                + "5,m,0.5,0.25,-1.0,1.5,2.0,0.125,,,,,\r\n"
        )
    }

    /// Each column has its own figure: all of a layer are different numbers.
    @Test func layersStandInTheirColumns() throws {
        var history = RunHistory()
        let layer = LayerFigures(try RunFigureTests.layer())
        history.append(.init(step: 5, time: 2, stage: "", values: [:], layers: ["m": layer]))
        let line = RunRecords.layerTable(of: history).split(separator: "\r\n").last
        #expect(line == "5,m,1.5,2.5,-3.5,4.5,5.5,6.5,8.5,9.5,11.5,12.5,13.5")
    }

    @Test func tablesOfSeveralFormatsSayWhich() {
        var history = RunHistory()
        history.append(.init(step: 0, time: 1, values: [.baselinePerplexity: 42]))
        for (step, format) in [(9, "mxfp8"), (10, "mxfp4")] {
            history.append(
                .init(
                    step: step,
                    time: 2,
                    stage: format,
                    format: format,
                    values: [.loss: Double(step)],
                    layers: ["m": Self.layer(17)]
                )
            )
        }
        #expect(
            RunRecords.table(of: history)
                == "step,time,stage,format,baseline_perplexity,loss\r\n0,1.0,,,42.0,\r\n"
                + "9,2.0,mxfp8,mxfp8,,9.0\r\n10,2.0,mxfp4,mxfp4,,10.0\r\n"
        )
        let layers = RunRecords.layerTable(of: history).split(separator: "\r\n")
        #expect(layers[0].hasPrefix("step,format,module,mean,"))
        #expect(layers[1].hasPrefix("9,mxfp8,m,0.5,") && layers[2].hasPrefix("10,mxfp4,m,0.5,"))
    }

    /// Hours of small steps must not make checkpoints grow: figures go, the first, the newest and validations stay.
    @Test func staysSmall() {
        var history = RunHistory()
        let layers = ["m": Self.layer(17)]
        for step in 1...(3 * RunHistory.limit) {
            history.append(
                .init(step: step, time: 0, stage: "mxfp4", values: [.loss: 1], layers: layers)
            )
            if step % 20_000 == 0 {
                history.append(.init(step: step, time: 0, values: [.validationPerplexity: 2]))
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
    ///
    /// Of several formats each is kept as if it were alone.
    @Test(
        arguments: [
            (1_000, [nil]), (2_345, [nil]), (100_000, [nil]), (1_000, ["mxfp8", "mxfp6", "mxfp4"]),
            (12_000, ["mxfp8", "mxfp4"]),
        ] as [(Int, [String?])]
    )
    func whatStaysIsSpreadOverTheRun(count: Int, formats: [String?]) {
        var history = RunHistory()
        let layers = ["m": Self.layer(17)]
        for step in 1...count {
            for format in formats {
                history.append(
                    .init(
                        step: step,
                        time: 0,
                        stage: "mxfp4",
                        format: format,
                        values: [.loss: 1],
                        layers: layers
                    )
                )
            }
        }
        func fullness(_ steps: [Int], tenth: Int) -> Int {
            steps.count { ($0 - 1) * 10 / count == tenth }
        }
        for format in formats {
            let rows = history.rows.filter { $0.format == format }
            let shown = rows.filter { $0.layers != nil }.map(\.step)
            let all = rows.map(\.step)
            #expect(shown.first == 1 && all.first == 1 && all.last == count)
            #expect((50...100).contains(shown.count) && all.count <= RunHistory.limit)
            #expect(all.count == count || all.count >= RunHistory.limit / 2)
            // Each tenth of the run has a tenth of them, but for one at its border and the newest.
            for tenth in 0..<10 {
                #expect(
                    abs(fullness(shown, tenth: tenth) * 10 - shown.count) <= 20,
                    "\(shown)"
                )
                #expect(abs(fullness(all, tenth: tenth) * 10 - all.count) <= 20)
            }
        }
    }

    /// Seen: after a pause and its end, each layer's warnings were said again.
    @Test func whatWasWarnedOfGoesWithTheCheckpoint() throws {
        var history = RunHistory()
        history.append(.init(step: 3, time: 1, stage: "mxfp4", values: [.loss: 0.5]))
        history.warned = [" a.b flips", "mxfp4 c noGradient"]
        let again = try RunHistory(jsonLines: history.stored())
        #expect(again == history)
        // The records that a user reads have rows alone.
        #expect(try RunHistory(jsonLines: history.jsonLines()).rows == history.rows)
        #expect(try !String(decoding: history.jsonLines(), as: UTF8.self).contains("warned"))
    }
}
