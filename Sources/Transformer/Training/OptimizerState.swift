internal import Devices
internal import Kernels

#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// An optimizer's moments of the trainable parameters.
public final class OptimizerState: @unchecked Sendable {
    // Unsynchronized: the engine that owns it is used by one thread at a time.

    /// What the elements of all moments are.
    public let precision: MomentPrecision

    private let rule: OptimizerConfiguration.Rule
    private let slots: [GradientArena.Slot]
    /// Blocks of other parameters before each slot's, where blocks have scales.
    private let blockOffsets: [Int]
    private let first: Moment
    /// Of AdamW.
    private let second: Moment?
    private let device: any ComputeDevice
    /// What of the parameters this process updates: all, or a rank's own.
    private let segments: [GradientReduction.Segment]
    private let reduction: GradientReduction?

    /// A moment of all trainable parameters.
    private struct Moment {
        let values: AlignedBuffer<Float>
        let memory: any DeviceMemory
        /// Of codes.
        let scales: AlignedBuffer<Float>?
        let scaleMemory: (any DeviceMemory)?

        init(byteCount: Int, blockCount: Int?, device: any ComputeDevice) {
            // Several short elements lie where one of FP32 would.
            values = AlignedBuffer(count: (byteCount + 3) / 4)
            memory = device.adopt(values)
            scales = blockCount.map { AlignedBuffer(count: $0) }
            scaleMemory = scales.map { device.adopt($0) }
        }

        var memories: [any DeviceMemory] { [memory] + [scaleMemory].compactMap(\.self) }
    }

    init(
        slots: [GradientArena.Slot],
        count: Int,
        configuration: OptimizerConfiguration,
        reduction: GradientReduction? = nil,
        device: any ComputeDevice
    ) {
        self.slots = slots
        self.device = device
        self.reduction = reduction
        segments =
            reduction?.ownSegments
            ?? slots.indices.map { .init(slot: $0, range: 0..<slots[$0].entry.count) }
        rule = configuration.rule
        precision = configuration.moments
        var offsets: [Int] = []
        var blocks = 0
        for slot in slots {
            offsets.append(blocks)
            blocks += Self.blockCount(slot.entry.count)
        }
        blockOffsets = offsets
        let byteCount = count * precision.byteCount
        let blockCount = precision == .int8 ? blocks : nil
        first = Moment(byteCount: byteCount, blockCount: blockCount, device: device)
        second =
            rule.momentCount > 1
            ? Moment(byteCount: byteCount, blockCount: blockCount, device: device) : nil
    }

    private static func blockCount(_ count: Int) -> Int {
        (count + OptimizerKernels.momentBlock - 1) / OptimizerKernels.momentBlock
    }

    /// Bytes of all moments of parameters that take `paddedCount` elements in a gradient arena, those of
    /// `counts` elements each.
    static func byteCount(
        _ rule: OptimizerConfiguration.Rule,
        _ precision: MomentPrecision,
        paddedCount: Int,
        counts: [Int]
    ) -> Int {
        let scales = precision == .int8 ? counts.reduce(0) { $0 + blockCount($1) } : 0
        return rule.momentCount
            * ((paddedCount * precision.byteCount + 3) / 4 * 4 + MemoryLayout<Float>.stride * scales)
    }

    /// The moments by parameter, for checkpoints: `m.` and the name, of AdamW's second `v.`, and of codes
    /// their scales by the same names with `.scales`.
    public var tensors: [TrainingTensor] {
        for memory in memories { device.settle(memory) }
        return tensors(of: first, "m.") + (second.map { tensors(of: $0, "v.") } ?? [])
    }

    private func tensors(of moment: Moment, _ prefix: String) -> [TrainingTensor] {
        let type: TrainingTensor.Element =
            switch precision {
            case .float32: .float32
            case .bfloat16: .bfloat16
            case .int8: .uint8
            }
        return zip(slots, blockOffsets).flatMap { slot, blockOffset in
            let start = UnsafeMutableRawPointer(moment.values.pointer)
            let values = TrainingTensor(
                name: prefix + slot.entry.name,
                type: type,
                shape: slot.entry.shape,
                start: start + slot.offset * precision.byteCount
            )
            guard let scales = moment.scales else { return [values] }
            return [
                values,
                TrainingTensor(
                    name: values.name + ".scales",
                    type: .float32,
                    shape: [Self.blockCount(slot.entry.count)],
                    start: UnsafeMutableRawPointer(scales.pointer + blockOffset)
                ),
            ]
        }
    }

    private var memories: [any DeviceMemory] { first.memories + (second?.memories ?? []) }

    /// Takes what the host changed in ``tensors``.
    func refresh() {
        for memory in memories { device.refresh(memory) }
    }

    /// Sets all moments to zero that this process has.
    func clear() {
        for segment in segments {
            for moment in [first, second].compactMap(\.self) {
                let part = tensor(of: moment, segment)
                device.clear(part.values)
                part.scales.map(device.clear)
            }
        }
    }

    // MARK: Ranks

    /// Brings all ranks' moments to rank 0, which writes them into checkpoints.
    ///
    /// Others touch their own alone: memory that nobody touches takes no room.
    func collect() { move { $0.collect($1, parts: $2) } }

    /// Brings each rank its moments from rank 0, which restored them.
    func spread() { move { $0.spread($1, parts: $2) } }

    private func move(_ operation: (any RankGroup, DeviceTensor, [Range<Int>]) -> Void) {
        guard let reduction else { return }
        for moment in [first, second].compactMap(\.self) {
            reduction.forEachBucket { range, parts in
                let values = DeviceTensor(
                    moment.memory,
                    offset: range.lowerBound,
                    columns: range.count,
                    type: elementType
                )
                operation(reduction.ranks, values, parts)
                guard let scales = moment.scaleMemory else { return }
                let start = scaleIndex(at: range.lowerBound)
                let places = parts.map { part in
                    let lower = scaleIndex(at: range.lowerBound + part.lowerBound)
                    let upper = scaleIndex(at: range.lowerBound + part.upperBound)
                    return lower - start..<upper - start
                }
                let count = scaleIndex(at: range.upperBound) - start
                operation(
                    reduction.ranks,
                    DeviceTensor(scales, offset: start, columns: count),
                    places
                )
            }
        }
    }

    /// The scale of the first block at or after an arena's element, where a bucket or a part of it begins or
    /// ends.
    private func scaleIndex(at position: Int) -> Int {
        guard let slot = slots.lastIndex(where: { $0.offset <= position }) else { return 0 }
        let block = OptimizerKernels.momentBlock
        let blocks = (position - slots[slot].offset + block - 1) / block
        return blockOffsets[slot] + min(blocks, Self.blockCount(slots[slot].entry.count))
    }

    /// One update of all trainable parameters, each where `tensor` says; `age` is how many updates moments
    /// hold then, this one included; `seed` is another one for each step.
    func update(
        _ tensor: (ParameterLayout.Entry) -> DeviceTensor,
        gradients: GradientArena,
        learningRate: Double,
        configuration: OptimizerConfiguration,
        age: Int,
        seed: Int,
        gradientScale: Float
    ) {
        var adamW = AdamWStep(
            configuration,
            learningRate: learningRate,
            age: age,
            seed: seed,
            gradientScale: gradientScale
        )
        for segment in segments {
            let slot = slots[segment.slot]
            adamW.weightDecay = slot.entry.shape.count > 1 ? Float(configuration.weightDecay) : 0
            let weight = tensor(slot.entry).part(segment.range)
            let gradient = GradientArena.tensor(
                slot.entry,
                in: gradients.storage.memory,
                at: slot.offset
            ).part(segment.range)
            let place = slot.offset + segment.range.lowerBound
            let moment = self.tensor(of: first, segment)
            guard let second else {
                let tensors = LionTensors(
                    weight: weight,
                    gradient: gradient,
                    moment: moment,
                    place: place
                )
                device.lion(tensors, step: LionStep(adamW))
                continue
            }
            device.adamW(
                AdamWTensors(
                    weight: weight,
                    gradient: gradient,
                    firstMoment: moment,
                    secondMoment: self.tensor(of: second, segment),
                    place: place
                ),
                step: adamW
            )
        }
    }

    private var elementType: ElementType {
        switch precision {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .int8: .uint8
        }
    }

    private func tensor(of moment: Moment, _ segment: GradientReduction.Segment) -> MomentTensor {
        let slot = slots[segment.slot]
        let values = GradientArena.tensor(
            slot.entry,
            in: moment.memory,
            at: slot.offset,
            type: elementType
        ).part(segment.range)
        let scales = moment.scaleMemory.map {
            DeviceTensor(
                $0,
                offset: blockOffsets[segment.slot]
                    + segment.range.lowerBound / OptimizerKernels.momentBlock,
                columns: Self.blockCount(segment.range.count)
            )
        }
        return MomentTensor(values, scales: scales)
    }
}

extension AdamWStep {
    /// The update of parameters without weight decay, whose moments hold `age` updates then, this one
    /// included.
    init(
        _ configuration: OptimizerConfiguration,
        learningRate: Double,
        age: Int,
        seed: Int,
        gradientScale: Float
    ) {
        self.init(
            learningRate: Float(learningRate),
            beta1: Float(configuration.beta1),
            beta2: Float(configuration.beta2),
            epsilon: Float(configuration.epsilon),
            weightDecay: 0,
            biasCorrection1: Float(1 - pow(configuration.beta1, Double(age))),
            biasCorrection2: Float(1 - pow(configuration.beta2, Double(age))),
            gradientScale: gradientScale,
            seed: UInt32(truncatingIfNeeded: seed)
        )
    }
}

extension LionStep {
    /// What both have.
    fileprivate init(_ step: AdamWStep) {
        self.init(
            learningRate: step.learningRate,
            beta1: step.beta1,
            beta2: step.beta2,
            weightDecay: step.weightDecay,
            gradientScale: step.gradientScale,
            seed: step.seed
        )
    }
}
