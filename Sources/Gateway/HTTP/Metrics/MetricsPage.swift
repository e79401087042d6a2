internal import JobSpecs
internal import Serving

/// Figures in Prometheus' text format, version 0.0.4.
struct MetricsPage: Sendable {
    /// The format's name.
    static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// A figure, and what tells it from others of its name.
    struct Sample: Sendable {
        var labels: [(String, String)]
        var value: Double

        init(_ value: Double, _ labels: (String, String)...) {
            self.labels = labels
            self.value = value
        }
    }

    private var text = ""

    /// The page.
    var bytes: [UInt8] { Array(text.utf8) }

    /// Adds what goes up and down; nothing without samples.
    mutating func gauge(_ name: String, _ help: String, _ samples: [Sample]) {
        add(name, "gauge", help, samples.map { ("", $0) })
    }

    /// Adds what only grows, since the gateway or the replica was started.
    mutating func counter(_ name: String, _ help: String, _ samples: [Sample]) {
        add(name, "counter", help, samples.map { ("", $0) })
    }

    /// Adds how long something took.
    mutating func histogram(
        _ name: String,
        _ help: String,
        _ histograms: [(labels: [(String, String)], DurationHistogram)]
    ) {
        let samples = histograms.flatMap { labels, histogram -> [(String, Sample)] in
            func sample(_ value: Double, _ bound: String? = nil) -> Sample {
                var sample = Sample(value)
                sample.labels = labels + (bound.map { [("le", $0)] } ?? [])
                return sample
            }
            let buckets = zip(DurationHistogram.bounds, histogram.counts).map { bound, count in
                ("_bucket", sample(Double(count), Self.number(bound)))
            }
            return buckets + [
                ("_bucket", sample(Double(histogram.count), "+Inf")),
                ("_sum", sample(histogram.sum)),
                ("_count", sample(Double(histogram.count))),
            ]
        }
        add(name, "histogram", help, samples)
    }

    private mutating func add(
        _ name: String,
        _ type: String,
        _ help: String,
        _ samples: [(suffix: String, Sample)]
    ) {
        guard !samples.isEmpty else { return }
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
        for (suffix, sample) in samples {
            let labels = sample.labels.map { "\($0)=\"\(Self.escaped($1))\"" }
            text += name + suffix
            if !labels.isEmpty { text += "{\(labels.joined(separator: ","))}" }
            text += " \(Self.number(sample.value))\n"
        }
    }

    private static func number(_ value: Double) -> String {
        value.isFinite
            ? JSONValue.number(value).canonicalText
            : value.isNaN ? "NaN" : value < 0 ? "-Inf" : "+Inf"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing(
            "\n",
            with: "\\n"
        )
    }
}

extension MetricsPage {
    private typealias Figure = (name: String, help: String, value: @Sendable (ReplicaState) -> Int)

    /// What goes up and down in a replica.
    private static let states: [Figure] = [
        ("qat_replica_ready", "Whether a replica takes requests.", { $0.isReady ? 1 : 0 }),
        (
            "qat_replica_healthy", "Whether its last probe was answered as it should be.",
            { $0.probe.isHealthy ? 1 : 0 }
        ),
        ("qat_replica_slots", "Texts that it writes at once, at most.", { $0.slots }),
        ("qat_replica_running", "Texts that it writes.", { $0.load.running }),
        ("qat_replica_waiting", "Texts that wait in it for a place.", { $0.load.waiting }),
        ("qat_replica_cache_pages", "Pages of its key-value cache.", { $0.load.pages }),
        ("qat_replica_cache_pages_used", "Those that are in use.", { $0.load.usedPages }),
    ]

    /// What only grows, since it was loaded.
    private static let counts: [Figure] = [
        (
            "qat_replica_prompt_tokens_total", "Tokens of prompts that it computed.",
            { $0.load.promptTokens }
        ),
        (
            "qat_replica_reused_tokens_total",
            "Tokens of prompts that a known beginning saved.", { $0.load.reusedTokens }
        ),
        ("qat_replica_drawn_tokens_total", "Tokens that it drew.", { $0.load.drawnTokens }),
        (
            "qat_replica_preemptions_total", "Texts that gave their pages back for another.",
            { $0.load.preemptions }
        ),
    ]

    /// Adds what replicas do, as they say themselves.
    mutating func add(_ replicas: [ReplicaState]) {
        let replicas = replicas.sorted { ($0.model, $0.job) < ($1.model, $1.job) }
        func labels(_ replica: ReplicaState) -> [(String, String)] {
            [("model", replica.model), ("job", replica.job), ("worker", replica.worker)]
        }
        func samples(_ value: (ReplicaState) -> Double?) -> [Sample] {
            replicas.compactMap { replica in
                value(replica).map { value in
                    var sample = Sample(value)
                    sample.labels = labels(replica)
                    return sample
                }
            }
        }
        for (name, help, value) in Self.states { gauge(name, help, samples { Double(value($0)) }) }
        for (name, help, value) in Self.counts {
            counter(name, help, samples { Double(value($0)) })
        }
        gauge(
            "qat_replica_probe_seconds",
            "How long its last probe took.",
            samples { $0.probe.timeUnixMs > 0 ? $0.probe.seconds : nil }
        )
        gauge(
            "qat_model_queued",
            "Requests of a model that wait in the gateway for a replica.",
            Dictionary(replicas.map { ($0.model, $0.queued) }, uniquingKeysWith: max)
                .sorted { $0.key < $1.key }.map { Sample(Double($0.value), ("model", $0.key)) }
        )
        histogram(
            "qat_first_text_seconds",
            "From a request's coming to the gateway to its first text.",
            replicas.map { (labels($0), $0.firstText) }
        )
    }
}
