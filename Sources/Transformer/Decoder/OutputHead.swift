internal import Devices

/// The last step of a decoder: normalized hidden states to logits.
struct OutputHead {
    private let device: any ComputeDevice
    private let multiplier: Float
    let softCap: Float?

    init(configuration: ModelConfiguration, device: any ComputeDevice) {
        self.device = device
        multiplier = configuration.architecture.logitMultiplier
        softCap = configuration.architecture.logitSoftCap
    }

    /// `logits` `[rows, vocabulary]` of `hidden` `[rows, hidden]` under `weight`
    /// `[vocabulary, hidden]`.
    func logits(_ logits: DeviceTensor, hidden: DeviceTensor, weight: WeightOperand) {
        device.multiply(.forward(input: hidden, weight: weight, output: logits))
        if let softCap {
            device.softCap(logits, scale: multiplier, cap: softCap)
        } else {
            device.scale(logits, by: multiplier)
        }
    }

    /// Overwrites the gradient of hidden states, and adds to the head's unless that is nil.
    ///
    /// `logitGradient` is turned into the product's gradient on the way. `capped`: The logits as
    /// ``logits(_:hidden:weight:)`` left them; needed with a soft cap.
    func backward(
        logitGradient: DeviceTensor,
        capped: DeviceTensor?,
        input: LossHead.Input,
        into gradient: LossHead.HeadGradient
    ) {
        if let softCap, let capped {
            device.softCapGradient(
                logitGradient,
                capped: capped,
                scale: multiplier,
                cap: softCap
            )
        } else {
            device.scale(logitGradient, by: multiplier)
        }
        device.multiply(
            .inputGradient(
                outputGradient: logitGradient,
                weight: input.head,
                inputGradient: gradient.hidden,
                isAccumulating: false
            )
        )
        if let headGradient = gradient.head {
            device.multiply(
                .weightGradient(
                    outputGradient: logitGradient,
                    input: input.hidden,
                    weightGradient: headGradient
                )
            )
        }
    }
}
