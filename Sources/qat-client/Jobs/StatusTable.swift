internal import Foundation
internal import JobSpecs
internal import Protocol

/// The suite and its jobs as text.
enum StatusTable {
    /// Everything at a glance.
    static func overview(_ status: StatusResponse, address: String, nowUnixMs: Int64) -> String {
        let uptime = Quantities.duration(seconds: status.uptimeSeconds)
        var blocks = ["gateway \(address)  version \(status.version)  up \(uptime)"]
        if status.services.isEmpty {
            blocks.append("no services have registered")
        } else {
            var table = TextTable(["SERVICE", "INSTANCE", "ADDRESS", "STATE", "RUNNING"])
            for service in status.services {
                table.append([
                    service.role, service.instance, service.address, service.state,
                    String(service.running),
                ])
            }
            blocks.append(table.rendered())
        }
        blocks.append(
            status.jobs.isEmpty ? "no jobs" : jobs(status.jobs, nowUnixMs: nowUnixMs)
        )
        return blocks.joined(separator: "\n\n")
    }

    /// Jobs in a table; why one waits or failed stands at the end of its line.
    static func jobs(_ jobs: [JobSummary], nowUnixMs: Int64) -> String {
        var table = TextTable([
            "JOB", "KIND", "NAME", "STATE", "STEP", "LOSS", "ETA", "AGE", "NOTE",
        ])
        for job in jobs {
            let progress = job.progress
            let isLive = ExitStatus(jobState: job.state) == nil
            table.append([
                job.jobID, job.kind, clipped(job.name, to: 28), job.state,
                progress.totalSteps > 0 ? "\(progress.step)/\(progress.totalSteps)" : "-",
                progress.loss.map { Quantities.decimals($0, 4) } ?? "-",
                isLive ? progress.etaSeconds.map(Quantities.duration(seconds:)) ?? "-" : "-",
                Quantities.duration(seconds: Double(nowUnixMs - job.createdUnixMs) / 1000),
                note(job),
            ])
        }
        return table.rendered()
    }

    /// One job with all that is known about it.
    static func detail(_ job: JobDetail) -> String {
        let summary = job.summary
        var lines = ["job       \(summary.jobID)"]
        let add = { (label: String, text: String) in
            if !text.isEmpty {
                let padding = String(repeating: " ", count: max(1, 10 - label.count))
                lines.append(label + padding + text)
            }
        }
        add("kind", summary.kind)
        add("name", summary.name)
        add("state", summary.state + (summary.cancelRequested ? " (cancel requested)" : ""))
        add("reason", summary.reason)
        add("message", summary.reasonMessage)
        add("waits", summary.waitReason)
        add("attempt", String(summary.attempt))
        add("progress", ProgressLine.plain(summary.progress))
        add("created", Quantities.timestamp(unixMs: summary.createdUnixMs))
        add("started", summary.startedUnixMs.map(Quantities.timestamp(unixMs:)) ?? "")
        add("finished", summary.finishedUnixMs.map(Quantities.timestamp(unixMs:)) ?? "")
        for output in job.outputs {
            add("output", "\(output.name)  \(Quantities.bytes(output.size))")
        }
        if !job.resultsJSON.isEmpty {
            let results = JobReport.document(job.resultsJSON)
            lines.append("results")
            lines += ResultsTable.lines(results).map { "  " + $0 }
        }
        return lines.joined(separator: "\n")
    }

    private static func note(_ job: JobSummary) -> String {
        let parts = [job.waitReason, job.reason, job.reasonMessage].filter { !$0.isEmpty }
        return clipped(parts.joined(separator: ": "), to: 120)
    }

    private static func clipped(_ text: String, to count: Int) -> String {
        text.count > count ? String(text.prefix(count - 1)) + "…" : text
    }
}

/// A job's results as text: an evaluation's rows as a table, anything else a line per member.
enum ResultsTable {
    static func lines(_ results: JSONValue) -> [String] {
        guard let rows = results["rows"]?.arrayValue, let first = rows.first?.objectValue else {
            return EventPrinter.metrics(results)
        }
        let known = [
            "label", "perplexity", "perplexity_ci95", "accuracy", "memory_bytes", "memory_ratio",
            "latency_ms", "tokens_per_s", "peak_memory_bytes",
        ]
        let keys = known.filter { key in rows.contains { cell($0[key]) != "-" } }
        // Measurements are there once more under the known keys, unless a task is there twice.
        let others = first.keys.filter { !known.contains($0) && $0 != "measurements" }.sorted()
        var table = TextTable((keys + others).map { $0.uppercased() })
        for row in rows {
            table.append((keys + others).map { cell(row[$0]) })
        }
        return [table.rendered(), measurements(rows)].joined(separator: "\n")
            .split(separator: "\n").map(String.init)
    }

    /// All measurements, where some task is there more than once; else nothing.
    private static func measurements(_ rows: [JSONValue]) -> String {
        let lists = rows.map { $0["measurements"]?.arrayValue ?? [] }
        let names = (lists.first ?? []).map { $0["name"]?.stringValue }
        guard Set(names).count < names.count else { return "" }
        let keys = ["task", "text", "name", "value", "interval", "count"]
        var table = TextTable((["label"] + keys).map { $0.uppercased() })
        for (row, list) in zip(rows, lists) {
            for measurement in list {
                table.append([cell(row["label"])] + keys.map { cell(measurement[$0]) })
            }
        }
        return table.rendered()
    }

    /// A value as people read it: numbers with four decimals at most, an interval as `a..b`.
    static func cell(_ value: JSONValue?) -> String {
        switch value {
        case nil, .null?: "-"
        case .string(let text)?: text
        case .number(let number)? where number != number.rounded():
            Quantities.decimals(number, 4)
        case .array(let elements)?: elements.map { cell($0) }.joined(separator: "..")
        case let value?: value.canonicalText
        }
    }
}
