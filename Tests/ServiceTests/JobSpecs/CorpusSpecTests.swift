internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Testing

/// What a job says of corpora in Megatron's indexed format.
@Suite struct CorpusSpecTests {
    private static func train(_ data: String, _ more: String = "") -> String {
        """
        {"model":"m","quantization":{"algorithm":"fp4"},\
        "data":{"train":["c"],"data_impl":"mmap"\(data)}\(more)}
        """
    }

    private static func parse(_ json: String) throws -> ParsedJob {
        try ParsedJob(kind: "train", json: Array(json.utf8))
    }

    private static func data(_ data: String) throws -> DataOptions {
        let job = try JobSpec.parse(kind: "train", json: Array(train(data).utf8))
        guard case .train(let spec) = job else { throw CocoaError(.coderReadCorrupt) }
        return spec.data
    }

    /// Against BlendedMegatronDatasetBuilder, see ModelFilesTests/Fixtures/make_corpus_fixtures.py.
    @Test func sharesAreRoundedAsMegatronRoundsThem() throws {
        struct Fixture: Decodable {
            struct Split: Decodable {
                let split: String
                let count: Int
                let borders: [[Int]?]
            }
            let splits: [Split]
        }
        let file = URL(filePath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "ModelFilesTests/Fixtures/corpus.json")
        let fixture = try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: file))
        #expect(fixture.splits.count > 50)
        for expected in fixture.splits {
            let splits = try #require(DataSplits(parsing: expected.split))
            for (part, border) in zip(
                [DataSplits.Part.training, .validation, .test],
                expected.borders
            ) {
                let found = splits.documents(of: part, count: expected.count)
                let text = "\(expected.split) of \(expected.count)"
                if let border {
                    #expect(found == border[0]..<border[1], "\(text)")
                } else {
                    #expect(found.isEmpty, "\(text)")
                }
            }
        }
    }

    @Test func documentSwitchesAreHeeded() throws {
        let keys = ["reset_position_ids", "reset_attention_mask", "eod_mask_loss"]
        for key in keys { #expect(try Self.data(#","\#(key)":true"#).documentKeys == [key]) }
        #expect(try Self.data("").documentKeys.isEmpty)
    }

    @Test(arguments: [
        (train(#","sampling":"epoch""#), "$.data.sampling", "dataloader_type says"),
        (train("", #","seed":4294967296"#), "$.seed", "expected at most 4294967295"),
        (train(#","splits_string":"0,1,1""#), "$.data.splits_string", "the first share"),
        (train(#","num_workers":65"#), "$.data.num_workers", "64"),
        (train(#","train_weights":[0.3,0.7]"#), "$.data.train_weights", "2 weights for 1 names"),
        (train(#","train_weights":[0]"#), "$.data.train_weights[0]", "a number > 0"),
        (train(#","calibration":["0.5"]"#), "$.data.calibration[0]", "a weight among names"),
        (
            train(#","train_weights":[1],"dataloader_type":"cyclic""#), "$.data.train_weights",
            "not allowed with \"cyclic\""
        ),
    ])
    func refusesWhatDoesNotGoTogether(json: String, path: String, message: String) throws {
        let error = #expect(throws: JobSpecError.self) { try Self.parse(json) }
        #expect(error?.violations.map(\.path) == [path])
        #expect(error?.violations.first?.message.contains(message) == true, "\(error as Any)")
    }

    /// As Megatron's configurations and commands have them.
    @Test(arguments: [
        (#""mmap","train":["0.3","a","0.7","b"]"#, ["train[0]", "train[2]"]),
        (#""text","train":["30","a.txt","70","b.txt"]"#, ["train[0]", "train[2]"]),
        (#""text","train":["30","a.txt","b.txt"]"#, []),
    ])
    func weightsAmongNamesAreAnswered(data: String, places: [String]) throws {
        let json = """
            {"model":"m","quantization":{"algorithm":"fp4"},"data":{"data_impl":\(data)}}
            """
        guard !places.isEmpty else {
            _ = try Self.parse(json)
            return
        }
        let error = #expect(throws: JobSpecError.self) { try Self.parse(json) }
        #expect(error?.violations.map(\.path) == places.map { "$.data.\($0)" })
        #expect(error?.violations.first?.message.contains("\"train_weights\": [0.3, 0.7]") == true)
    }

    @Test(arguments: [
        (#","num_workers":4,"dataloader_type":"cyclic","skip_warmup":false"#, nil),
        (#","splits_string":"99,1,0""#, nil),
        (#","splits_string":"99,1,0","validation":["v"]"#, "splits_string"),
        (#","splits_string":"99,0,1","validation":["v"]"#, nil),
        (#","text_key":"body""#, "text_key"),
    ])
    func warnsAboutWhatIsReadByNothing(data: String, key: String?) throws {
        let warnings = try Self.parse(Self.train(data)).warnings.map(\.path)
        #expect(warnings.filter { $0.hasPrefix("$.data") } == (key.map { ["$.data.\($0)"] } ?? []))
    }

    @Test func onlyCyclesComeAgain() throws {
        #expect(try !Self.data("").repeatsWindows)
        #expect(try Self.data(#","dataloader_type":"cyclic""#).repeatsWindows)
        #expect(try Self.data(#","splits_string":"9,1,0""#).validatesOnShare)
        #expect(try !Self.data(#","splits_string":"9,0,1""#).validatesOnShare)
        #expect(try !Self.data(#","splits_string":"9,1,0","validation":["v"]"#).validatesOnShare)
    }
}
