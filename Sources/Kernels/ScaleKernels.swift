internal import CKernels

/// Where the random bits of a rounding come from: the same for any division of a tensor.
public struct RoundingDraw: Sendable, Hashable {
    /// A number of its own for each rounding, as of a step.
    public var seed: UInt32
    /// Elements of other tensors before the first of these.
    public var place: Int

    /// A draw.
    public init(seed: UInt32, place: Int) {
        self.seed = seed
        self.place = place
    }
}

extension QuantizeKernels {
    /// Rounds each element to one of the two values of the grid around it at random, to either as often
    /// as it is near; `scales` nil finds each block's.
    ///
    /// - SeeAlso: reference kernel `qat_fake_quantize_random_f32_ref`.
    public static func fakeQuantize(
        _ destination: UnsafeMutablePointer<Float>,
        _ source: UnsafePointer<Float>,
        scales: UnsafePointer<UInt8>?,
        count: Int,
        blockSize: Int,
        storage: BlockStorage,
        draw: RoundingDraw
    ) {
        var format = storage.cFormat
        qat_fake_quantize_random_f32(
            destination,
            source,
            scales,
            count,
            blockSize,
            &format,
            draw.seed,
            draw.place
        )
    }

    /// The gradient of each block's step, times `factor`, from that of the rounded values.
    ///
    /// - SeeAlso: reference kernel `qat_scale_gradient_f32_ref`.
    public static func scaleGradient(
        _ gradient: UnsafeMutablePointer<Float>,
        ofRounded roundedGradient: UnsafePointer<Float>,
        source: UnsafePointer<Float>,
        scales: UnsafePointer<UInt8>,
        blocks: (count: Int, size: Int),
        factor: Float,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_scale_gradient_f32(
            gradient,
            roundedGradient,
            source,
            scales,
            blocks.count * blocks.size,
            blocks.size,
            factor,
            &format
        )
    }

    /// The scale bytes whose steps are nearest to `steps`, which are put within what bytes can say.
    public static func encodeSteps(
        _ scales: UnsafeMutablePointer<UInt8>,
        _ steps: UnsafeMutablePointer<Float>,
        count: Int,
        storage: BlockStorage
    ) {
        var format = storage.cFormat
        qat_encode_steps_f32(scales, steps, count, &format)
    }
}
