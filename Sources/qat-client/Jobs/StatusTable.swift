internal import Foundation
internal import Jobs
internal import Protocol

/// The suite and its jobs as text.
enum StatusTable {
    /// Everything at a glance.
    ///
    /// `caller`: Who asks; nil if that is not known. `notes`: Lines below the services. `columns`: Of the
    /// terminal; nil for as wide as it comes.
    static func overview(
        _ status: StatusResponse,
        address: String,
        nowUnixMs: Int64,
        caller: String? = nil,
        notes: [String] = [],
        columns: Int? = nil
    ) -> String {
        let uptime = Quantities.duration(seconds: status.uptimeSeconds)
        let parts = ["gateway \(address)", "version \(status.version)", "up \(uptime)"]
        let line = parts.joined(separator: "  ")
        let fits = columns.map { DisplayWidth.columns(line) <= $0 } ?? true
        var blocks = [fits ? line : parts.joined(separator: "\n")]
        if status.services.isEmpty {
            blocks.append("no services have registered")
        } else {
            var table = TextTable(columns: [
                .init(heading: "SERVICE"), .init(heading: "INSTANCE", least: 8),
                .init(heading: "ADDRESS", dropOrder: 1), .init(heading: "STATE"),
                .init(heading: "RUNNING", dropOrder: 2),
            ])
            for service in status.services {
                table.append([
                    service.role, service.instance, service.address, service.state,
                    String(service.running),
                ])
            }
            blocks.append(table.rendered(within: columns))
        }
        if !notes.isEmpty {
            blocks.append(notes.joined(separator: "\n"))
        }
        blocks.append(
            status.jobs.isEmpty
                ? "no jobs"
                : jobs(
                    status.jobs,
                    pipelines: status.pipelines,
                    caller: caller,
                    nowUnixMs: nowUnixMs,
                    columns: columns
                )
        )
        return blocks.joined(separator: "\n\n")
    }

    /// Jobs in a table; why one waits or failed stands at the end of its line.
    ///
    /// `jobs`: The newest first. `pipelines`: Those that they are of, each with its jobs indented below
    /// it, in the order of their dependencies. `caller`: Who asks.
    static func jobs(
        _ jobs: [JobSummary],
        pipelines: [PipelineSummary] = [],
        caller: String? = nil,
        nowUnixMs: Int64,
        columns: Int? = nil
    ) -> String {
        // Whose a job is matters where they are of several, or of somebody else.
        let owners = Set(jobs.map(\.owner))
        let hasOwners =
            owners.count > 1 || caller.map { !owners.subtracting(["", $0]).isEmpty } ?? false
        func owned(_ cells: [String], by owner: String) -> [String] {
            hasOwners
                ? Array(cells.prefix(3)) + [owner] + cells.dropFirst(3)
                : cells
        }
        var table = TextTable(columns: headings(hasOwners: hasOwners))
        func age(_ created: Int64) -> String {
            Quantities.duration(seconds: Double(nowUnixMs - created) / 1000)
        }
        func append(_ job: JobSummary, isPart: Bool) {
            let cells = cells(job, isPart: isPart, age: age(job.createdUnixMs))
            table.append(owned(cells, by: job.owner))
        }
        var known: [String: PipelineSummary] = [:]
        for pipeline in pipelines { known[pipeline.pipelineID] = pipeline }
        for job in jobs {
            guard !job.pipelineID.isEmpty else {
                append(job, isPart: false)
                continue
            }
            guard let pipeline = known.removeValue(forKey: job.pipelineID) else {
                // Shown with the first of its pipeline, unless that is not known.
                if !pipelines.contains(where: { $0.pipelineID == job.pipelineID }) {
                    append(job, isPart: false)
                }
                continue
            }
            table.append(
                owned(
                    [
                        pipeline.pipelineID, "pipeline", pipeline.name, pipeline.state, "-", "-",
                        "-", "-", age(pipeline.createdUnixMs),
                        note(pipeline),
                    ],
                    by: job.owner
                )
            )
            for part in jobs.reversed() where part.pipelineID == pipeline.pipelineID {
                append(part, isPart: true)
            }
        }
        return table.rendered(within: columns)
    }

    /// What is shown of a job, but for whose it is.
    private static func cells(_ job: JobSummary, isPart: Bool, age: String) -> [String] {
        let progress = job.progress
        // What a job that waits came to before is no phase of now.
        let state = JobState(rawValue: job.state)
        let isLive = state?.isTerminal == false && state?.isWaiting == false
        return [
            (isPart ? indent : "") + job.jobID, job.kind,
            isPart ? indent + job.part : job.name, job.state,
            isLive && !progress.phase.isEmpty ? phase(progress) : "-",
            progress.totalSteps > 0 ? "\(progress.step)/\(progress.totalSteps)" : "-",
            progress.loss.map { Quantities.decimals($0, 4) } ?? "-",
            isLive ? progress.etaSeconds.map(Quantities.duration(seconds:)) ?? "-" : "-",
            age, note(job),
        ]
    }

    /// What a job does; of one that answers requests, which has no end, how fast, too.
    private static func phase(_ progress: JobProgress) -> String {
        guard ServingPhase.holds(progress.phase), let rate = progress.tokensPerSecond else {
            return progress.phase
        }
        return "\(progress.phase), \(Quantities.decimals(rate, rate < 10 ? 1 : 0)) tokens/s"
    }

    private static let indent = "  "

    /// What a job is called, and how it stands, is never left out; why, goes below it.
    private static func headings(hasOwners: Bool) -> [TextTable.Column] {
        [
            .init(heading: "JOB"), .init(heading: "KIND", dropOrder: 2),
            .init(heading: "NAME", least: 8),
        ] + (hasOwners ? [.init(heading: "OWNER", least: 5, dropOrder: 6)] : []) + [
            .init(heading: "STATE"), .init(heading: "PHASE", least: 8, dropOrder: 4),
            .init(heading: "STEP", dropOrder: 7), .init(heading: "LOSS", dropOrder: 3),
            .init(heading: "ETA", dropOrder: 5), .init(heading: "AGE", dropOrder: 1),
            .init(heading: "NOTE", least: 24, goesBelow: true),
        ]
    }

    /// One pipeline with its jobs.
    static func detail(
        _ pipeline: PipelineDetail,
        caller: String? = nil,
        nowUnixMs: Int64,
        columns: Int? = nil
    ) -> String {
        jobs(
            pipeline.jobs.reversed(),
            pipelines: [pipeline.summary],
            caller: caller,
            nowUnixMs: nowUnixMs,
            columns: columns
        )
    }

    private static func note(_ pipeline: PipelineSummary) -> String {
        "\(pipeline.succeeded) of \(pipeline.jobs) jobs succeeded"
            + (pipeline.ended > pipeline.succeeded ? ", \(pipeline.ended) ended" : "")
    }

    /// One job with all that is known about it.
    static func detail(_ job: JobDetail, columns: Int? = nil) -> String {
        let summary = job.summary
        var lines = ["job       \(summary.jobID)"]
        let add = { (label: String, text: String) in
            if !text.isEmpty {
                let padding = String(repeating: " ", count: max(1, 10 - label.count))
                lines.append(label + padding + DisplayWidth.printable(text))
            }
        }
        add("kind", summary.kind)
        add("name", summary.name)
        add("owner", summary.owner)
        // A deadline asks for it, too; of what has ended, the reason says all.
        let isAsked = summary.cancelRequested && ExitStatus(jobState: summary.state) == nil
        add("state", summary.state + (isAsked ? " (cancel requested)" : ""))
        add("reason", summary.reason)
        add("message", summary.reasonMessage)
        add("waits", summary.waitReason)
        add("pipeline", summary.pipelineID)
        add("part", summary.part)
        add("after", summary.after.joined(separator: ", "))
        // The message mostly says it, but not whether that one is still there.
        let isToldOfReuse =
            summary.reasonMessage.contains(summary.reusedFrom) && !summary.isReusedRemoved
        add("reused", isToldOfReuse ? "" : JobAnswer.origin(of: summary))
        add("priority", summary.priority == 0 ? "" : JobPriority.text(summary.priority))
        add(
            "deadline",
            summary.deadlineUnixMs == 0
                ? "" : Quantities.timestamp(unixMs: summary.deadlineUnixMs)
        )
        add("attempt", String(summary.attempt))
        add("progress", ProgressLine.plain(summary.progress))
        add("created", Quantities.timestamp(unixMs: summary.createdUnixMs))
        add("started", summary.startedUnixMs.map(Quantities.timestamp(unixMs:)) ?? "")
        add("finished", summary.finishedUnixMs.map(Quantities.timestamp(unixMs:)) ?? "")
        for output in job.outputs {
            add("output", "\(output.name)  \(Quantities.bytes(output.size))")
        }
        if !job.resultsJSON.isEmpty {
            lines.append("results")
            lines += ResultsTable(job, columns: columns.map { $0 - 2 }).lines.map { "  " + $0 }
        }
        return lines.joined(separator: "\n")
    }

    private static func note(_ job: JobSummary) -> String {
        // Of one that waits the reason is that of an attempt that ended.
        guard job.waitReason.isEmpty else { return job.waitReason }
        return [job.reason, job.reasonMessage].filter { !$0.isEmpty }.joined(separator: ": ")
    }
}
