internal import JobSpecs
internal import Serving

/// Whether models that are served answer, by the prompts that their replicas tried last.
struct ServingHealth: Sendable {
    private struct Model {
        var replicas = 0
        var ready = 0
        /// Those that take requests and answered the last probe.
        var healthy = 0
        var lastProbe: Int64 = 0
    }

    private var models: [String: Model] = [:]

    init(_ replicas: [ReplicaState]) {
        for replica in replicas {
            var model = models[replica.model] ?? Model()
            model.replicas += 1
            model.ready += replica.isReady ? 1 : 0
            model.healthy += replica.isReady && replica.probe.isHealthy ? 1 : 0
            model.lastProbe = max(model.lastProbe, replica.probe.timeUnixMs)
            models[replica.model] = model
        }
    }

    /// Whether each model has a replica that answers, and there is a model.
    var isHealthy: Bool { !models.isEmpty && models.values.allSatisfy { $0.healthy > 0 } }

    /// The body of an answer.
    var json: JSONValue {
        func word(_ isHealthy: Bool) -> JSONValue { .string(isHealthy ? "healthy" : "unhealthy") }
        let entries = models.mapValues { model -> JSONValue in
            var entry: [String: JSONValue] = [
                "status": word(model.healthy > 0), "replicas": .number(Double(model.replicas)),
                "ready": .number(Double(model.ready)), "healthy": .number(Double(model.healthy)),
            ]
            if model.lastProbe > 0 {
                entry["last_probe_unix_ms"] = .number(Double(model.lastProbe))
            }
            return .object(entry)
        }
        return .object(["status": word(isHealthy), "models": .object(entries)])
    }
}
