internal import Synchronization

/// What the HTTP front counts of itself since it was started.
final class HTTPMetrics: Sendable {
    private struct Request: Hashable {
        let path: String
        let status: Int
    }

    private struct State {
        var requests: [Request: Int] = [:]
        var tokens: [String: TokenUsage] = [:]
    }

    private let state = Mutex(State())

    /// Counts an answer; status 0 of one that nobody was there to hear.
    func count(_ path: String, status: Int) {
        state.withLock { $0.requests[Request(path: path, status: status), default: 0] += 1 }
    }

    /// Counts a request's tokens; nothing of one that no model took.
    func count(_ usage: TokenUsage, _ model: String) {
        guard usage.prompt > 0 else { return }
        state.withLock { state in
            state.tokens[model, default: TokenUsage()].prompt += usage.prompt
            state.tokens[model, default: TokenUsage()].completion += usage.completion
        }
    }

    /// Adds what was counted; `running`: Requests to models that are being answered.
    func add(to page: inout MetricsPage, running: Int) {
        let state = state.withLock { $0 }
        page.counter(
            "qat_http_requests_total",
            "Requests by path and status; closed where the caller hung up before an answer.",
            state.requests.sorted { ($0.key.path, $0.key.status) < ($1.key.path, $1.key.status) }
                .map {
                    let status = $0.key.status == 0 ? "closed" : "\($0.key.status)"
                    return MetricsPage.Sample(
                        Double($0.value),
                        ("path", $0.key.path),
                        ("status", status)
                    )
                }
        )
        page.gauge(
            "qat_http_requests_running",
            "Requests to models that are being answered.",
            [MetricsPage.Sample(Double(running))]
        )
        let tokens = state.tokens.sorted { $0.key < $1.key }
        page.counter(
            "qat_http_tokens_total",
            "Tokens of prompts and of answers.",
            tokens.flatMap { model, usage in
                [
                    MetricsPage.Sample(Double(usage.prompt), ("model", model), ("kind", "prompt")),
                    MetricsPage.Sample(
                        Double(usage.completion),
                        ("model", model),
                        ("kind", "completion")
                    ),
                ]
            }
        )
    }
}
