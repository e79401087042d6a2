internal import Foundation
internal import Testing

/// Training on a corpus, through the built programs.
extension LocalSuiteTests {
    private static func training(_ data: String) -> String {
        """
        {"model": "model", "quantization": {"algorithm": "mxfp4"},
         "trainer": {"max_steps": 600, "max_epochs": 99, "micro_batch_size": 2,
                     "limit_val_batches": 2, "checkpoint_every_steps": 25},
         "data": {"data_impl": "mmap", "splits_string": "90,10,0",
                  "seq_length": 64, \(data)}, "seed": 7}
        """
    }

    /// A run that is stopped and goes on, with windows read ahead, ends with the bits of one that is not, whose
    /// windows are read as they are needed.
    @Test(arguments: [
        #""train": ["corpus"], "dataloader_type": "single""#,
        #""train": ["corpus"], "dataloader_type": "cyclic""#,
        #""train": ["corpus", "other"], "train_weights": [5, 2]"#,
    ])
    func aCorpusIsTrainedOnAlikeHoweverItIsRead(order: String) throws {
        let suite = try LocalSuiteFixture()
        defer { suite.down() }
        try suite.writeInputs()
        let isMixture = order.contains("other")
        for (name, count) in [("corpus", 400), ("other", 100)] {
            let lines = (0..<count).map {
                #"{"text": "\#(name) \#($0): the quick brown fox jumps"}"#
            }
            try suite.write(lines.joined(separator: "\n"), "lines.jsonl")
            let made = try suite.client([
                "preprocess", "--model", suite.folder + "/model", "--output-prefix",
                suite.folder + "/" + name, suite.folder + "/lines.jsonl", "--json",
            ])
            #expect(made.status == 0, "\(made.errors)")
            #expect(try suite.json(made.output)["documents"] as? Int == count)
        }
        try suite.up()
        var digests: [String] = []
        let reading = [
            "once": #", "num_workers": 0"#, "twice": #", "num_workers": 3, "skip_warmup": false"#,
        ]
        for (name, more) in reading {
            try suite.write(Self.training(order + more), "\(name).json")
            let file = suite.folder + "/\(name).json"
            let submitted = try suite.client("submit", "train", file, "--json")
            let id = try #require(try suite.json(submitted.output)["job_id"] as? String)
            if name == "twice" {
                let isThere = try suite.awaitEvent(of: id) { ($0["step"] as? Int ?? 0) >= 60 }
                #expect(isThere)
                #expect(try suite.client("cancel", id).status == 0)
                #expect(try suite.client("wait", id, "--timeout", "60").status == 3)
                #expect(try suite.client("retry", id).status == 0)
            }
            let waited = try suite.client("wait", id, "--json", "--timeout", "120")
            #expect(waited.status == 0, "\(waited.output)\(waited.errors)")
            let log = try suite.client("logs", id).output
            let counts = isMixture ? (450, 50) : (360, 40)
            #expect(
                log.contains("\(counts.0) documents") && log.contains("\(counts.1) documents"),
                "\(log)"
            )
            #expect(log.contains("warm-up: ") == (name == "twice"))
            if name == "twice" { #expect(log.contains("resuming from the checkpoint"), "\(log)") }
            let outputs = try suite.json(waited.output)["outputs"] as? [[String: Any]] ?? []
            let weights = outputs.filter {
                ($0["name"] as? String)?.hasSuffix(".safetensors") == true
            }
            digests.append(
                weights.compactMap { $0["digest"] as? String }.sorted().joined(separator: " ")
            )
        }
        #expect(!digests[0].isEmpty && digests[0] == digests[1])
    }
}
