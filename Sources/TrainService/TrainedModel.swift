internal import Transformer

/// What a training made, before it is written.
struct TrainedModel {
    /// The weights that are exported.
    let parameters: Parameters
    /// What inputs are clipped to; nil where they are not.
    let inputs: InputRanges?
    /// What was measured before the first step.
    let before: [String: Double]
    let control: RunControl
    /// Steps taken.
    let steps: Int
    /// The step of the checkpoint that the latest attempt went on from; 0 for the start.
    let resumedFrom: Int
    /// The step that the weights are of.
    let exportedStep: Int
    /// Why the run took fewer steps than it might have; nil if it did not.
    let endedEarly: String?

    /// What is exported in place of weights that were lost; nil if none were.
    var lostBest: String? {
        control.lostBest.map {
            "the checkpoint of the best validation, that of step \($0), was damaged on the worker's disk: the weights "
                + "of step \(exportedStep) are exported"
                + (exportedStep == control.best?.step ? ", the best of those validated since" : "")
        }
    }
}
