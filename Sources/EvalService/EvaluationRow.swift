internal import Foundation
internal import ModelFiles

/// One model's figures; what no task measured is absent.
struct EvaluationRow: Codable, Sendable {
    /// The model's name in the job.
    var label: String
    /// Bytes of its tensors as stored.
    var memoryBytes: Int
    /// Those bytes relative to all parameters in BF16.
    var memoryRatio: Double
    /// `exp` of the mean loss.
    var perplexity: Double?
    /// 95 % confidence interval of `perplexity`.
    var perplexityCi95: [Double]?
    /// Share of next tokens that the most likely one hits.
    var accuracy: Double?
    /// Milliseconds of one generation, prompt included; the median of the runs.
    var latencyMs: Double?
    /// Generated tokens per second, prompt included.
    var tokensPerS: Double?
    /// The process's peak memory so far.
    var peakMemoryBytes: Int?

    init(label: String, model: LoadedModel) {
        self.label = label
        memoryBytes = model.storedByteCount
        memoryRatio = Double(model.storedByteCount) / Double(model.bf16ByteCount)
    }
}

/// What an evaluation job answers.
struct EvaluationResults: Codable, Sendable {
    /// One row per model, in the job's order.
    var rows: [EvaluationRow]
}

/// The process's peak resident memory.
enum PeakMemory {
    /// Starts the peak anew, so that each model's row tells its own; see proc(5), clear_refs.
    static func reset() {
        try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
    }

    /// Bytes, or nil where the system does not tell.
    static func byteCount() -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
            let kilobytes = line.split(whereSeparator: { !$0.isNumber }).first.flatMap({ Int($0) })
        else {
            return nil
        }
        return kilobytes * 1024
    }
}
