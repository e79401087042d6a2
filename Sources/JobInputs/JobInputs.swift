internal import Formats
public import JobSpecs
public import ModelFiles

/// What a job asks of its models and texts, checked without reading a weight: by the client before
/// anything is sent, by the worker before any work.
///
/// Both run the same checks and say the same sentences; the client skips inputs that it does not have.
public struct JobInputs: Sendable {
    /// Something about one place of the job file.
    public struct Finding: Sendable, Equatable, CustomStringConvertible {
        /// The place, such as `$.data.train[1]`.
        public let path: String
        /// What was found, and what to do.
        public let message: String

        /// `$.data.train[1]: …`.
        public var description: String { "\(path): \(message)" }
    }

    /// Why the job cannot work, in the order of its sections.
    public let problems: [Finding]
    /// What a user should know although the job works.
    public let remarks: [Finding]
    /// The job's exports, resolved; empty of jobs without, and while the model is not at hand.
    public let exports: [PlannedExport]

    /// What exports will hold otherwise than the job asks for, or leave out.
    ///
    /// For who submits: the worker says it of each export that it writes, when formats are chosen.
    public var exportRemarks: [Finding] {
        exports.filter { $0.obstacles.isEmpty }.flatMap { export in
            export.warnings.map { Finding(path: export.path, message: $0) }
        }
    }

    /// Checks a job.
    ///
    /// - Parameters:
    ///   - spec: The job.
    ///   - paths: Local paths of its inputs by JSON pointer, such as `/data/train/0`; an input that is
    ///     not there, and what depends on it, is not checked.
    ///   - version: The suite's version, which exports name; the worker's is supposed to be the same.
    ///   - readsValues: Whether all weights and the tokens of corpora are read, too, so that a weight that
    ///     is no number, or a token that the model does not have, is found before anything is sent; the
    ///     worker sees them as it works.
    public init(
        _ spec: JobSpec,
        paths: [String: String],
        version: String,
        readsValues: Bool = false
    ) {
        var check = InputCheck(paths: paths, version: version, readsValues: readsValues)
        switch spec {
        case .quantize(let spec): check.check(spec)
        case .train(let spec): check.check(spec)
        case .evaluate(let spec): check.check(spec)
        case .serve(let spec): check.check(spec)
        }
        problems = check.problems
        remarks = check.remarks
        exports = check.planned
    }
}

extension PostTrainingOptions {
    /// What files of an export say of their making.
    ///
    /// `version`: The suite's.
    public func exportMetadata(version: String) -> [String: String] {
        FileNotes(method: method, rotation: rotation, version: version).texts
    }
}

extension TrainSpec {
    /// What files of an export say of their making.
    ///
    /// `version`: The suite's.
    public static func exportMetadata(version: String) -> [String: String] {
        FileNotes(ofTrainingBy: version).texts
    }
}

extension QuantizeSpec {
    /// Whether the job has to understand its model's tokenizer.
    ///
    /// It has to read text, or to write the tokenizer in another form; otherwise the tokenizer's files
    /// are passed on as they are.
    ///
    /// `kind`: What the model is read from.
    public func needsTokenizer(of kind: LoadedModel.Source) -> Bool {
        tokenizerNeed(of: kind) != nil
    }

    /// The first place in the job for whose sake the tokenizer has to be understood; nil if it has not.
    func tokenizerNeed(of kind: LoadedModel.Source) -> String? {
        if !data.calibration.isEmpty { return "$.data.calibration" }
        let asGGUF = exports.isEmpty ? [false] : exports.map { $0.format == .gguf }
        return asGGUF.firstIndex { $0 != (kind == .gguf) }.map { "$.export[\($0)].format" }
    }

    /// Whether anything of the result goes by the calibration texts.
    public var usesCalibration: Bool {
        needsInputs || quantization.postTraining?.mixedPrecision != nil
    }

    /// Whether the method, an export or the scales asked for go by what the modules' inputs are on
    /// calibration text.
    public var needsInputs: Bool {
        guard let options = quantization.postTraining else { return false }
        let recipe = quantization.recipe
        let asksForInputScales = recipe.activations?.scaleKind.hasTensorScale ?? false
        let formats = recipe.formats.union(options.mixedPrecision?.candidates ?? [])
        let hasScalesAnyway = exports.contains { export in
            formats.contains { ModelWriters.requiresInputRanges(export.format, of: $0) }
        }
        return options.rounding.usesMoments || options.cacheScales == .fp8 || asksForInputScales
            || hasScalesAnyway
    }
}
