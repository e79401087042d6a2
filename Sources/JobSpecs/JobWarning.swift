/// Something that a job file may say and that does not do what it seems to.
public struct JobWarning: Sendable, Equatable, CustomStringConvertible {
    /// The place, such as `$.optim.sched.min_lr`.
    public let path: String
    /// What it does not do, and what to write.
    public let message: String
    /// The 1-based line, where it is known.
    public let line: Int?

    /// `$.optim.sched.min_lr: has no effect with … (line 7)`.
    public var description: String {
        "\(path): \(message)" + (line.map { " (line \($0))" } ?? "")
    }

    /// The same without its line, for where the document is not the one that was written.
    public var withoutLine: JobWarning { JobWarning(path: path, message: message, line: nil) }

    /// The warnings about a job.
    ///
    /// `reader`: Of the document; what stands there by default is not warned about.
    static func warnings(
        of spec: JobSpec,
        _ reader: ObjectReader,
        lines: [String: Int]
    ) -> [JobWarning] {
        var collector = WarningCollector(lines: lines)
        switch spec {
        case .quantize(let spec): collector.check(spec, reader)
        case .train(let spec): collector.check(spec, reader)
        case .evaluate: collector.checkEvaluation(reader)
        // Whatever it says has an effect.
        case .serve: break
        }
        return collector.warnings.enumerated().sorted {
            ($0.element.line ?? 0, $0.offset) < ($1.element.line ?? 0, $1.offset)
        }.map(\.element)
    }
}

/// Collects the warnings about one document.
struct WarningCollector {
    let lines: [String: Int]
    private(set) var warnings: [JobWarning] = []

    init(lines: [String: Int]) {
        self.lines = lines
    }

    mutating func warn(_ path: String, _ message: String) {
        warnings.append(JobWarning(path: path, message: message, line: lines[path]))
    }

    /// Warns about the keys of an object that are written although they have no effect.
    mutating func warn(
        _ object: ObjectReader,
        _ path: String,
        haveNoEffect keys: [String],
        _ reason: String
    ) {
        for key in keys where object.contains(key) {
            warn(JSONPath.appending(key, to: path), "has no effect: \(reason)")
        }
    }

    mutating func checkEvaluation(_ reader: ObjectReader) {
        warn(reader, "$", haveNoEffect: ["seed"], "evaluations draw nothing at random")
    }

    /// What `data` says in vain in a job that only calibrates.
    mutating func checkCalibrationData(_ reader: ObjectReader) {
        let data = reader.object("data")
        let reason = "calibration draws its windows once, by the seed"
        warn(data, "$.data", haveNoEffect: ["dataloader_type"], reason)
        if data.integer("num_workers") > 0 {
            warn("$.data.num_workers", "has no effect: \(reason)")
        }
        if !data.boolean("skip_warmup") { warn("$.data.skip_warmup", "has no effect: \(reason)") }
    }

    /// What exports have in every kind.
    mutating func checkExports(_ reader: ObjectReader) {
        for (index, export) in reader.objects("export").enumerated() {
            warn(
                export,
                "$.export[\(index)]",
                haveNoEffect: [
                    "max_input_len", "max_output_len", "max_batch_size", "max_beam_width",
                ],
                "servers set it when they load the model"
            )
        }
    }
}
