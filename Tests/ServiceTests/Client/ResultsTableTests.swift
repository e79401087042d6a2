internal import JobSpecs
internal import Protocol
internal import Testing
@testable internal import qat_client

@Suite struct ResultsTableTests {
    private func lines(_ results: String, spec: String = "{}", columns: Int? = nil) -> [String] {
        let job = JobDetail(specJSON: Array(spec.utf8), resultsJSON: Array(results.utf8))
        return ResultsTable(job, columns: columns).lines
    }

    private static let compared = """
        {"rows":[
        {"label":"baseline","memory_bytes":96600000,"memory_ratio":0.359,"perplexity":41.95,
         "perplexity_ci95":[33.7,52.22],"accuracy":0.3472,"activations":"none","kv_cache":"none",
         "latency_ms":null,"tokens_per_s":null,"peak_memory_bytes":1200000000,"measurements":[
          {"task":"perplexity","index":0,"text":"hamlet.txt","name":"perplexity","value":41.95,
           "interval":[33.7,52.22],"count":16},
          {"task":"accuracy","index":1,"text":"hamlet.txt","name":"accuracy","value":0.3472,
           "interval":null,"count":16}]},
        {"label":"QAT","memory_bytes":113100000,"memory_ratio":0.42,"perplexity":48.07,
         "perplexity_ci95":[38.72,59.68],"accuracy":0.3288,"activations":"mxfp4","kv_cache":"none",
         "latency_ms":null,"tokens_per_s":null,"peak_memory_bytes":1200000000,"measurements":[]}]}
        """

    @Test func anEvaluationIsATableWithSizesAsPeopleReadThem() {
        #expect(
            lines(Self.compared).joined(separator: "\n") == """
                LABEL     PERPLEXITY        95 % CI   CHANGE  ACCURACY    MEMORY  OF BF16    PEAK  ACTIVATIONS
                baseline       41.95  33.70 – 52.22        -    0.3472   96.6 MB   35.9 %  1.2 GB  -
                QAT            48.07  38.72 – 59.68  +14.6 %    0.3288  113.1 MB   42.0 %  1.2 GB  mxfp4
                """
        )
    }

    /// Figures of questions have no column of their own; comparisons stand below them.
    @Test func questionsAndComparisonsHaveTheirOwnTables() {
        let results = """
            {"rows":[{"label":"base","memory_bytes":1000,"memory_ratio":0.5,"measurements":[
              {"task":"mmlu","index":0,"text":null,"name":"acc","value":0.25,
               "interval":[0.125,0.375],"count":24}]}],
             "comparisons":[{"task":"mmlu","index":0,"name":"acc","label":"QAT","reference":"base",
              "difference":-0.125,"interval":[-0.25,0.0125],"wins":1,"losses":4,"flips":0.2083,
              "p_value":0.375,"count":24}]}
            """
        let shown = lines(results, spec: #"{"tasks":[{"type":"mmlu"}]}"#)
        #expect(
            shown.dropFirst(2).joined(separator: "\n") == """

                LABEL  TASK      TEXT  LENGTH   VALUE          95 % CI  COUNT
                base   mmlu acc  -          -  0.2500  0.1250 – 0.3750     24

                LABEL  AGAINST  TASK      TEXT  DIFFERENCE            95 % CI  WON  LOST      P
                QAT    base     mmlu acc  -        −0.1250  −0.2500 – +0.0125    1     4  0.375
                """
        )
    }

    @Test(arguments: [30, 40, 60, 80, 140])
    func itFitsTheTerminal(columns: Int) {
        let shown = lines(Self.compared, columns: columns)
        #expect(shown.count == 3)
        #expect(shown.allSatisfy { DisplayWidth.columns($0) <= columns }, "\(shown)")
        #expect(shown[0].contains("PERPLEXITY") && shown[2].contains("48.07"))
    }

    @Test func measurementsThatAreThereTwiceAreAllShownAndToldApart() {
        let results = """
            {"rows":[{"label":"m","memory_bytes":1000,"memory_ratio":0.5,"perplexity":9.5,
             "measurements":[
              {"task":"perplexity","index":0,"text":"t.txt","name":"perplexity","value":9.5,
               "interval":null,"count":1},
              {"task":"perplexity","index":1,"text":"t.txt","name":"perplexity","value":7.25,
               "interval":[7,7.5],"count":4},
              {"task":"benchmark","index":2,"text":null,"name":"latency_ms","value":1250,
               "interval":null,"count":5}]}]}
            """
        let spec = """
            {"models":[],"tasks":[{"type":"perplexity","text":"t.txt","seq_length":256},
             {"type":"perplexity","text":"t.txt"},{"type":"benchmark","input_len":64}]}
            """
        let shown = lines(results, spec: spec)
        #expect(
            shown.suffix(4).joined(separator: "\n") == """
                LABEL  TASK        TEXT   LENGTH   VALUE          95 % CI  COUNT
                m      perplexity  t.txt     256  9.5000                -      1
                m      perplexity  t.txt     512  7.2500  7.0000 – 7.5000      4
                m      benchmark   -          64  1.25 s                -      5
                """
        )
        for columns in [40, 50, 60] {
            let narrow = lines(
                results.replacing("\"m\"", with: "\"a rather long label\""),
                spec: spec,
                columns: columns
            ).suffix(4)
            #expect(narrow.allSatisfy { DisplayWidth.columns($0) <= columns }, "\(narrow)")
            #expect(narrow.first?.contains("VALUE") == true, "\(narrow)")
            #expect(narrow.last?.contains("1.25 s") == true, "\(narrow)")
        }
        let unknown =
            #"{"rows":[{"label":"m","measurements":[{"task":"x","name":"y","value":0.5}]}]}"#
        #expect(lines(unknown).last?.contains("x y") == true)
        // Seen: a metric that has a column, without the row's own figure, was shown nowhere.
        let flatless =
            #"{"rows":[{"label":"m","measurements":[{"task":"accuracy","name":"accuracy","value":0.61}]}]}"#
        #expect(lines(flatless).last?.contains("0.6100") == true, "\(lines(flatless))")
    }

    @Test func aTrainingSaysWhatItWonBack() {
        let results = """
            {"baseline_perplexity":41.95,"ptq_perplexity":72.75,"qat_perplexity":48.07,
             "qat_perplexity_ci95":[38.72,59.68],"recovered":0.8013,"steps":40,"tokens":20480,
             "export_format":"compressed-tensors","tensor_bytes":113100000,"memory_ratio":0.42,
             "activations":"none","warnings":["one"]}
            """
        #expect(
            lines(results).joined(separator: "\n") == """
                          PERPLEXITY   CHANGE        95 % CI
                baseline       41.95        -              -
                PTQ            72.75  +73.4 %              -
                QAT            48.07  +14.6 %  38.72 – 59.68

                QAT won back 80.1 % of the perplexity that PTQ lost.
                40 steps, 20480 tokens
                model/: 113.1 MB, 42.0 % of BF16 as compressed-tensors
                warning: one
                """
        )
        let early = results.replacing(
            "\"steps\":40",
            with:
                #""steps":40,"exported_step":30,"ended_early":"ended early at step 40 of 99: why""#
        )
        let sentences = [
            "40 steps, 20480 tokens", "ended early at step 40 of 99: why",
            "exported: the weights of step 30, of the best validation",
        ]
        #expect(lines(early).suffix(5).prefix(3) == sentences[...], "\(lines(early))")
        let last = results.replacing("\"steps\":40", with: #""steps":40,"exported_step":40"#)
        #expect(lines(last) == lines(results))
        // A share of next to nothing says nothing, so that results have none.
        let little = results.replacing("72.75", with: "41.98").replacing("0.8013", with: "null")
        #expect(lines(little).contains("PTQ lost next to nothing: there was nothing to win back."))
        let none = results.replacing("72.75", with: "41.90").replacing("0.8013", with: "null")
        #expect(lines(none).contains("PTQ lost nothing: there was nothing to win back."))
        #expect(ResultsTable.recovery(-0.5).contains("lost another 50.0 %"))
    }

    @Test func aTrainingForSeveralFormatsHasRowsOfEach() {
        let results = """
            {"baseline_perplexity":41.95,"ptq_perplexity":43.37,"qat_perplexity":42.50,
             "recovered":0.6127,"steps":40,"tokens":20480,"export_format":"compressed-tensors",
             "tensor_bytes":113100000,"memory_ratio":0.42,
             "exports":["compressed-tensors in model/","compressed-tensors in model-mxfp4/"],
             "formats":[{"format":"mxfp8","ptq_perplexity":43.37,"qat_perplexity":42.50,
                         "recovered":0.6127},
                        {"format":"mxfp4","ptq_perplexity":72.75,"qat_perplexity":48.07,
                         "qat_perplexity_ci95":[38.72,59.68],"recovered":0.8013}]}
            """
        #expect(
            lines(results).joined(separator: "\n") == """
                           PERPLEXITY   CHANGE        95 % CI
                baseline        41.95        -              -
                PTQ mxfp8       43.37   +3.4 %              -
                QAT mxfp8       42.50   +1.3 %              -
                PTQ mxfp4       72.75  +73.4 %              -
                QAT mxfp4       48.07  +14.6 %  38.72 – 59.68

                mxfp8: QAT won back 61.3 % of the perplexity that PTQ lost.
                mxfp4: QAT won back 80.1 % of the perplexity that PTQ lost.
                40 steps, 20480 tokens
                model/: 113.1 MB, 42.0 % of BF16 as compressed-tensors
                also compressed-tensors in model-mxfp4/
                """
        )
    }

    @Test func aQuantizationSaysWhatItMade() {
        let results = """
            {"method":"awq","layers":210,"bits_per_weight":4.25,"sqnr_db_min":17.93,
             "kl_divergence":0.03125,"kl_tokens":4096,"tensor_bytes":113000000,"memory_ratio":0.42,
             "export_format":"gguf","exports":["gguf in model/","bf16 in model-bf16/"],
             "warnings":[]}
            """
        #expect(
            lines(results) == [
                "method awq, 210 layers at 4.25 bits per weight",
                "worst layer: 17.9 dB signal to noise",
                "KL divergence: 0.03125 nats per token, over 4096 tokens",
                "model/: 113.0 MB, 42.0 % of BF16 as gguf", "also bf16 in model-bf16/",
            ]
        )
    }

    @Test func otherResultsAreALinePerMember() {
        #expect(lines(#"{"b":1.5,"a":"x\u001b"}"#) == ["a x\\u{1b}", "b 1.5"])
    }
}
