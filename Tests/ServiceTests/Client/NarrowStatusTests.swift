internal import Protocol
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, Watching: what a table of jobs keeps where room is short.
///
/// Seen: at 80 columns, with a pipeline or a failure in the list, PHASE, LOSS and ETA went and NOTE
/// stayed as `CANCELLED_B…`; at 40 there were ids and states without names.
@Suite struct NarrowStatusTests {
    private static let pipelineID = "p-00ab000000000009"
    private static let failure =
        "OUT_OF_MEMORY: the compute process was ended by signal 9 while it held 7.9 GB of 8.0 GB"

    private static func job(
        _ id: String,
        _ name: String,
        _ state: String,
        part: String = ""
    ) -> JobSummary {
        var job = JobSummary(
            jobID: id,
            kind: part == "量子化" ? "quantize" : "train",
            name: name,
            state: state,
            createdUnixMs: 61_000
        )
        job.part = part
        job.pipelineID = part.isEmpty ? "" : pipelineID
        return job
    }

    private static let status: StatusResponse = {
        var failed = job("00ad00000000000d", "模型の量子化ジョブ、二回目", "FAILED")
        failed.reason = "OUT_OF_MEMORY"
        failed.reasonMessage = String(failure.dropFirst("OUT_OF_MEMORY: ".count))
        var running = job("00ab00000000000b", "夜/train", "RUNNING", part: "train")
        running.progress = JobProgress(
            step: 13,
            totalSteps: 40,
            loss: 0.3812,
            etaSeconds: 197,
            phase: "validating 3/16"
        )
        var cancelled = job("00aa000000000001", "a-name-without-any-spaces", "CANCELLED")
        cancelled.reason = "CANCELLED_BY_USER"
        var blocked = job("00ab00000000000c", "夜/compare", "BLOCKED", part: "compare")
        blocked.waitReason = "waits for the outputs of 00ab00000000000b"
        var status = StatusResponse(version: "0.1.0", uptimeSeconds: 192)
        status.services = [
            ServiceInfo(
                role: "train",
                instance: "train-1",
                address: "127.0.0.1:40123",
                state: "ready",
                running: 1
            )
        ]
        status.jobs = [
            failed, blocked, running,
            job("00ab00000000000a", "夜/量子化", "SUCCEEDED", part: "量子化"), cancelled,
        ]
        status.pipelines = [
            PipelineSummary(
                pipelineID: pipelineID,
                name: "夜の量子化と訓練と比較",
                owner: "ada",
                state: "RUNNING",
                createdUnixMs: 61_000,
                jobs: 3,
                succeeded: 1,
                ended: 1
            )
        ]
        return status
    }()

    private func lines(_ columns: Int, owners: [String] = ["ada"]) -> [String] {
        var status = Self.status
        for index in status.jobs.indices {
            status.jobs[index].owner = owners[index % owners.count]
        }
        return StatusTable.overview(
            status,
            address: "127.0.0.1:18500",
            nowUnixMs: 133_000,
            columns: columns
        )
        .split(separator: "\n").map(String.init)
    }

    @Test(arguments: [40, 60, 80, 100, 140], [["ada"], ["ada", "グレース"]])
    func namesAndStatesStayAndEveryLineFits(columns: Int, owners: [String]) {
        let lines = lines(columns, owners: owners)
        let text = lines.joined(separator: "\n")
        #expect(lines.allSatisfy { DisplayWidth.columns($0) <= columns }, "\(text)")
        for (id, name, state) in [
            ("00ad00000000000d", "模型の", "FAILED"), (Self.pipelineID, "夜の量", "RUNNING"),
            ("00ab00000000000a", "量", "SUCCEEDED"), ("00ab00000000000b", "train", "RUNNING"),
            ("00ab00000000000c", "compa", "BLOCKED"), ("00aa000000000001", "a-name-", "CANCELLED"),
        ] {
            let row = lines.first { $0.contains(id) } ?? ""
            let cells = row.split(separator: " ").map(String.init)
            #expect(cells.contains { $0.hasPrefix(name) } && cells.contains(state), "\(text)")
        }
    }

    /// Of a sentence that is there, as much is as says something.
    @Test(arguments: [40, 60, 80, 100, 140], [["ada"], ["ada", "グレース"]])
    func noNoteIsAStub(columns: Int, owners: [String]) {
        let lines = lines(columns, owners: owners)
        for note in [
            Self.failure, "1 of 3 jobs succeeded", "waits for the outputs of 00ab00000000000b",
            "CANCELLED_BY_USER",
        ] {
            let said = String(note.prefix(20))
            #expect(lines.contains { $0.contains(said) }, "\(lines.joined(separator: "\n"))")
        }
    }

    /// Each column of numbers, and from which width on it is there.
    @Test(arguments: [40, 60, 80, 100, 140])
    func whatARunningJobDoesGoesBeforeWhatItIs(columns: Int) {
        let lines = lines(columns)
        let row = lines.first { $0.contains("00ab00000000000b") } ?? ""
        for (cell, least) in [
            ("13/40", 60), ("3m17s", 60), ("valid", 80), ("0.3812", 80), ("  1m12s", 100),
            ("  train       train  ", 100), ("validating 3/16", 140),
        ] {
            #expect(row.contains(cell) == (columns >= least), "\(cell) at \(columns): \(row)")
        }
        // Below its row, and nowhere else.
        let index = lines.firstIndex { $0.contains("00ad00000000000d") } ?? 0
        #expect(lines[index].contains("OUT_OF_MEMORY") == (columns >= 140))
        #expect(lines[index + 1].hasPrefix("    OUT_OF_MEMORY: the") == (columns < 140))
    }

    @Test func aSentenceThatHasRoomIsCutWhereItStands() {
        var table = TextTable(columns: [
            .init(heading: "A"), .init(heading: "B", least: 10, goesBelow: true),
        ])
        table.append(["one", "a sentence of some words"])
        table.append(["two", ""])
        #expect(table.rendered(within: 16).hasSuffix("\none  a sentence…\ntwo"))
        #expect(table.rendered(within: 14).hasSuffix("\none\n    a sentenc…\ntwo"))
        #expect(table.rendered().hasSuffix("\none  a sentence of some words\ntwo"))
    }
}
