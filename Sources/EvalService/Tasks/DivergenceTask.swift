internal import Devices
internal import JobSpecs
internal import ModelFiles
internal import ServiceKit
internal import Transformer

/// How far a model's next tokens are from a reference model's, on windows of a text.
///
/// The reference runs before the others; of itself nothing is measured.
final class DivergenceTask: EvaluationTask {
    private let index: Int
    private let windows: EvaluateSpec.TextWindows
    /// The reference's label.
    private let reference: String
    /// The text's file.
    private let path: String
    private var outputs: ReferenceOutputs?

    init(index: Int, windows: EvaluateSpec.TextWindows, reference: String, path: String) {
        self.index = index
        self.windows = windows
        self.reference = reference
        self.path = path
    }

    func effort(on plan: EvaluationSubject.Plan) throws -> TaskEffort {
        try plan.separateEffort(of: windows, path: path)
    }

    func run(_ subject: EvaluationSubject) throws -> [Measurement] {
        let length = windows.sequenceLength
        let tokens = try subject.tokens(of: windows, path: path)
        let count = min(windows.windowCount ?? .max, tokens.count / length)
        func tell(_ done: Int) throws {
            try subject.finishStep(
                EvaluateSpec.TaskType.divergence.rawValue,
                done,
                of: count,
                tokenCount: length
            )
        }
        guard subject.label != reference else {
            outputs = try ReferenceOutputs(
                parameters: subject.model().parameters,
                activations: subject.activations,
                tokens: tokens,
                length: length,
                windows: count,
                device: CPUDevice(team: subject.team),
                onWindow: tell
            )
            return []
        }
        guard let outputs else { preconditionFailure("the reference runs first") }
        let found = try outputs.compare(
            subject.model().parameters,
            activations: subject.activations,
            onWindow: tell
        )
        return [
            measurement(.divergence, found.divergence, found.windowCount),
            measurement(.topAgreement, found.topAgreement, found.windowCount),
            measurement(.flips, found.flips, found.windowCount),
        ]
    }

    private func measurement(
        _ name: Measurement.Name,
        _ figure: OutputAgreement.Figure,
        _ count: Int
    ) -> Measurement {
        Measurement(
            task: .divergence,
            index: index,
            text: windows.text,
            name: name,
            value: figure.mean,
            interval: figure.interval,
            count: count
        )
    }
}
