internal import ArgumentParser
internal import JobSpecs
internal import Protocol
internal import Testing
@testable internal import qat_client

@Suite struct PipelineViewTests {
    private static let id = "p-00ab000000000009"

    private static func job(
        _ id: String,
        part: String = "",
        state: String = "QUEUED",
        kind: String = "train"
    ) -> JobSummary {
        var job = JobSummary(
            jobID: id,
            kind: kind,
            name: part.isEmpty ? "single" : "all/\(part)",
            state: state,
            createdUnixMs: 61_000
        )
        job.part = part
        job.pipelineID = part.isEmpty ? "" : Self.id
        return job
    }

    private let pipeline = PipelineSummary(
        pipelineID: id,
        name: "all",
        owner: "ada",
        state: "RUNNING",
        createdUnixMs: 61_000,
        jobs: 2,
        succeeded: 1,
        ended: 1
    )
    /// The newest first, as lists have them.
    private let jobs = [
        job("00ac00000000000c"), job("00ab00000000000b", part: "qat"),
        job("00ab00000000000a", part: "ptq", state: "SUCCEEDED", kind: "quantize"),
        job("00aa000000000001"),
    ]

    @Test func aPipelinesJobsStandBelowItInTheirOrder() {
        let text = StatusTable.jobs(jobs, pipelines: [pipeline], nowUnixMs: 121_000)
        #expect(
            text == """
                JOB                 KIND      NAME    STATE      PHASE  STEP  LOSS  ETA  AGE    NOTE
                00ac00000000000c    train     single  QUEUED     -      -     -     -    1m00s
                p-00ab000000000009  pipeline  all     RUNNING    -      -     -     -    1m00s  1 of 2 jobs succeeded
                  00ab00000000000a  quantize    ptq   SUCCEEDED  -      -     -     -    1m00s
                  00ab00000000000b  train       qat   QUEUED     -      -     -     -    1m00s
                00aa000000000001    train     single  QUEUED     -      -     -     -    1m00s
                """
        )
        // Of a pipeline that is not known, jobs stand alone, by their whole names.
        let flat = StatusTable.jobs([jobs[1]], nowUnixMs: 121_000)
        #expect(flat.contains("00ab00000000000b  train  all/qat"))
    }

    /// docs/CLIENT.md, Watching: filters keep a pipeline's row with the jobs that match.
    ///
    /// Seen: `status --mine`, where all jobs were one's own, showed no pipeline.
    @Test(
        arguments: [
            (["--name", "ALL/"], ["qat", "ptq"]), (["--kind", "train"], ["qat"]),
            (["--state", "succeeded"], ["ptq"]), (["--name", "single"], []),
            (["--name", "no"], []),
            (["--limit", "2"], ["qat"]), (["--mine", "--limit", "300"], ["qat", "ptq"]),
        ] as [([String], [String])]
    )
    func aFilterKeepsThePipelineOfAJob(_ arguments: [String], parts: [String]) async throws {
        var jobs = jobs
        for index in jobs.indices { jobs[index].owner = "ada" }
        let gateway = try ScriptedGateway(jobs: jobs, pipelines: [pipeline])
        let folder = try TemporaryHome()
        let home = folder.home.path
        try CertificateAuthority.createAuthority(in: home, trustDomain: "test")
        let certificate = try CertificateAuthority.issue(
            subject: .user(name: "ada"),
            hosts: [],
            authorityFolder: home,
            folder: home,
            name: "ada"
        )
        let filter = try JobFilter.parse(arguments)
        let all = try await gateway.serve {
            try await filter.jobs(
                $0,
                certificatePath: certificate.certificatePath,
                limit: filter.limit
            )
        }
        let (found, pipelines) = (all.jobs, all.pipelines)
        #expect(found.map(\.part).filter { !$0.isEmpty } == parts)
        #expect(pipelines == (parts.isEmpty ? [] : [pipeline]))
        let text = StatusTable.jobs(found, pipelines: pipelines, nowUnixMs: 121_000)
        #expect(text.contains("\n\(Self.id)  pipeline  all ") != parts.isEmpty)
    }

    private func choice(_ word: String) -> String {
        switch JobSelector.choice(word, among: jobs, pipelines: [pipeline], isHarmless: false) {
        case .one(let job, _): job.jobID
        case .pipeline(let pipeline, _): pipeline.pipelineID
        case .none(let problem): problem
        }
    }

    @Test func wordsNamePipelinesAndTheirJobs() {
        for word in [Self.id, "p-00", "all"] { #expect(choice(word) == Self.id) }
        for word in ["all/qat", Self.id + "/qat", "p-0/qat", "00ab00000000000b"] {
            #expect(choice(word) == "00ab00000000000b")
        }
        // The last submission is not of a pipeline here.
        #expect(choice("latest") == "00ac00000000000c")
        let rest = Array(jobs.dropFirst())
        #expect(
            JobSelector.choice("latest", among: rest, pipelines: [pipeline], isHarmless: true)
                == .pipeline(pipeline, of: 1)
        )
        #expect(choice("all/none").hasPrefix("no job has the id or the name"))
        #expect(choice("qat").hasPrefix("no job has the id or the name"))
        #expect(choice("single").contains("is the name of several jobs"))
    }

    @Test func eventsOfSeveralJobsSayWhoseTheyAre() {
        var text = ""
        let printer = EventPrinter(.plain) { text += $0 }
        printer.labels = ["a": "ptq", "b": "qat"]
        printer.print(JobEvent(jobID: "a", seq: 1, type: .state, state: "RUNNING"))
        printer.print(JobEvent(jobID: "b", seq: 1, type: .log, message: "one\ntwo"))
        #expect(text == "ptq: RUNNING\nqat: log: one\nqat: log: two\n")
        text = ""
        let live = EventPrinter(.live(columns: { 60 })) { text += $0 }
        live.labels = ["a": "ptq", "b": "qat"]
        let progress = JobProgress(step: 1, totalSteps: 2, phase: "train")
        live.print(JobEvent(jobID: "b", seq: 1, type: .state, state: "RUNNING"))
        live.print(JobEvent(jobID: "b", seq: 2, type: .progress, progress: progress))
        // Another job's end leaves the bar where it is.
        live.print(JobEvent(jobID: "a", seq: 2, type: .state, state: "SUCCEEDED"))
        #expect(text.contains("ptq: SUCCEEDED\n"))
        #expect(text.split(separator: "\n").last?.hasPrefix("qat  RUNNING  ") == true, "\(text)")
    }

    private static func evaluation(
        _ part: String,
        _ label: String,
        _ value: Double,
        text: String = "hamlet.txt"
    ) -> JobDetail {
        JobDetail(
            summary: job(
                "00ab00000000000\(part)",
                part: part,
                state: "SUCCEEDED",
                kind: "evaluate"
            ),
            specJSON: Array(
                #"{"tasks":[{"type":"perplexity","text":"\#(text)","seq_length":64}]}"#.utf8
            ),
            resultsJSON: Array(
                #"{"rows":[{"label":"\#(label)","perplexity":\#(value),"measurements":[]}]}"#.utf8
            )
        )
    }

    @Test func severalEvaluationsStandInOneTable() {
        let results = PipelineResults(
            summary: pipeline,
            jobs: [
                Self.evaluation("c", "base", 20), Self.evaluation("d", "base", 22),
                JobDetail(summary: jobs[1]),
            ]
        )
        let lines = results.lines(columns: nil)
        #expect(lines[0] == "\(Self.id)  all  RUNNING")
        #expect(lines.contains("c  SUCCEEDED  00ab00000000000c"))
        #expect(
            lines.suffix(4) == [
                "all evaluations", "LABEL    PERPLEXITY   CHANGE", "c: base       20.00        -",
                "d: base       22.00  +10.0 %",
            ]
        )
        #expect(results.json["rows"]?.arrayValue?.count == 2)
        #expect(results.status == .failed)
    }

    /// Perplexities of two texts are no change of each other.
    @Test func evaluationsOfOtherTextsAreNotCompared() {
        let results = PipelineResults(
            summary: pipeline,
            jobs: [
                Self.evaluation("c", "base", 20), Self.evaluation("d", "QAT", 7, text: "lear.txt"),
                Self.evaluation("e", "QAT", 22), JobDetail(summary: jobs[1]),
            ]
        )
        let lines = results.lines(columns: nil)
        #expect(
            lines.suffix(4) == [
                "evaluations by the same tasks: c, e", "LABEL    PERPLEXITY   CHANGE",
                "c: base       20.00        -", "e: QAT        22.00  +10.0 %",
            ]
        )
        let rows = results.json["rows"]?.arrayValue ?? []
        #expect(rows.map { $0["job"]?.stringValue } == ["c", "d", "e"])
        let apart = PipelineResults(
            summary: pipeline,
            jobs: [
                Self.evaluation("c", "base", 20), Self.evaluation("d", "QAT", 7, text: "lear.txt"),
            ]
        )
        #expect(!apart.lines(columns: nil).contains { $0.contains("evaluations") })
    }

    /// Whether two evaluations stand in one table, by their tasks.
    ///
    /// Seen: `./hamlet.txt`, and a default that was written out, made another measurement of the same.
    @Test(arguments: [
        (#"{"type":"perplexity","text":"./hamlet.txt","seq_length":64,"text_key":"text"}"#, true),
        (#"{"type":"perplexity","text":"texts/../hamlet.txt","seq_length":64}"#, true),
        (
            #"{"type":"perplexity","text":"hamlet.txt","seq_length":64,"allow_long_context":true}"#,
            true
        ),
        (
            #"{"type":"perplexity","text":"hamlet.txt","seq_length":64},{"type":"benchmark"}"#,
            true
        ),
        (#"{"type":"perplexity","text":"hamlet.txt","seq_length":64,"windows":2}"#, false),
        (#"{"type":"perplexity","text":"hamlet.txt","seq_length":32}"#, false),
        (#"{"type":"perplexity","text":"../hamlet.txt","seq_length":64}"#, false),
        (#"{"type":"accuracy","text":"hamlet.txt","seq_length":64}"#, false),
        (#"{"type":"benchmark"}"#, false),
    ])
    func evaluationsAreComparedByWhatTheyMeasure(tasks: String, isSame: Bool) {
        func job(_ part: String, _ tasks: String) -> JobDetail {
            var job = Self.evaluation(part, "base", 20)
            let models = #""models":[{"label":"base","model":"job:0000bb03c91c6898"}]"#
            job.specJSON = Array("{\(models),\"tasks\":[\(tasks)]}".utf8)
            return job
        }
        let first = #"{"type":"perplexity","text":"hamlet.txt","seq_length":64}"#
        let results = PipelineResults(
            summary: pipeline,
            jobs: [job("c", first), job("d", tasks)]
        )
        let lines = results.lines(columns: nil)
        #expect(lines.contains("all evaluations") == isSame, "\(lines)")
    }

    /// What was read counts, and not where it lay: each evaluation is of one text of some bytes under a name.
    ///
    /// Seen: a text that was changed between two evaluations stood as one and the same; a copy of a text did not.
    @Test(arguments: [
        // Other bytes under one path.
        ("hamlet.txt", "hamlet.txt", "to be", "hamlet.txt", "hamlet.txt", "not to be", false),
        // The same bytes under two, and under none.
        ("hamlet.txt", "hamlet.txt", "to be", "/copies/h.txt", "h.txt", "to be", true),
        ("hamlet.txt", "hamlet.txt", "to be", "job:0000bb03c91c6898/t", "t", "to be", true),
        // As lines of JSON they are another text; under which key plain text would lie is no matter.
        ("a.txt", "a.txt", "{}", "a.jsonl", "a.jsonl", "{}", false),
        ("a.txt", "a.txt", "x", #"b.txt","text_key":"body"#, "b.txt", "x", true),
        ("a.json", "a.json", "x", #"b.json","text_key":"body"#, "b.json", "x", false),
    ])
    func evaluationsAreOfTheSameTextByItsBytes(
        text: String,
        name: String,
        bytes: String,
        otherText: String,
        otherName: String,
        otherBytes: String,
        isSame: Bool
    ) {
        func job(_ part: String, _ text: String, _ name: String, _ bytes: String) -> JobDetail {
            var job = Self.evaluation(part, "base", 20)
            let models = #""models":[{"label":"base","model":"job:0000bb03c91c6898"}]"#
            let task = #"{"type":"accuracy","text":"\#(text)","seq_length":64}"#
            job.specJSON = Array(#"{\#(models),"tasks":[\#(task)]}"#.utf8)
            job.inputs = [
                Input(pointer: "/models/0/model", source: "job:0000bb03c91c6898/model"),
                Input(
                    pointer: "/tasks/0/text",
                    source: "file",
                    files: [InputFile(path: name, digest: .of(bytes), size: 1)]
                ),
            ]
            return job
        }
        let results = PipelineResults(
            summary: pipeline,
            jobs: [job("c", text, name, bytes), job("d", otherText, otherName, otherBytes)]
        )
        let lines = results.lines(columns: nil)
        #expect(lines.contains("all evaluations") == isSame, "\(lines)")
    }

    /// One that ended and was retried meanwhile has not ended.
    @Test func aPipelineIsOverWhenEveryJobIs() {
        var again = Self.evaluation("d", "base", 22)
        #expect(PipelineResults(summary: pipeline, jobs: [again]).isOver)
        again.summary.state = "QUEUED"
        let jobs = [Self.evaluation("c", "base", 20), again]
        #expect(!PipelineResults(summary: pipeline, jobs: jobs).isOver)
    }

    /// One evaluation is shown once.
    @Test func anEvaluationAloneIsTheTable() {
        let results = PipelineResults(
            summary: pipeline,
            jobs: [Self.evaluation("c", "base", 20)]
        )
        let lines = results.lines(columns: nil)
        #expect(!lines.contains("all evaluations"))
        #expect(lines.filter { $0.contains("base") }.count == 1)
        #expect(results.status == .succeeded)
    }

    @Test func theSchemaOfPipelinesIsExplained() {
        let paths = SchemaRow.rows(of: JobSchema.pipeline).map(\.path)
        #expect(paths == ["$.name", "$.jobs", "$.jobs.NAME.kind", "$.jobs.NAME.after"])
    }
}
