internal import Devices
internal import Formats
internal import Kernels

/// A device that writes down what it is asked for, and lets another compute it.
final class RecordingDevice: ComputeDevice, @unchecked Sendable {
    /// One line per operation: its name, and the shapes of its tensors.
    private(set) var lines: [String] = []
    private let device: any ComputeDevice
    private let copiesHost: Bool
    private let preparesWeights: Bool
    private let keepsHalves: Bool
    /// What stands for the host's buffers, by the memory.
    private var copies: [ObjectIdentifier: Copy] = [:]

    private struct Copy {
        let host: AlignedBuffer<Float>
        let copy: AlignedBuffer<Float>
    }

    /// `copiesHost`: Whether it holds copies of the host's buffers, as a device with a memory of its own
    /// does: each sees what the other wrote only when it is told to.
    ///
    /// `preparesWeights`: Whether products may read weights in the other device's own form. `keepsHalves`:
    /// Whether activations are kept as the other device has them.
    init(
        _ device: any ComputeDevice,
        copiesHost: Bool = false,
        preparesWeights: Bool = true,
        keepsHalves: Bool = true
    ) {
        self.device = device
        self.keepsHalves = keepsHalves
        self.preparesWeights = preparesWeights
        self.copiesHost = copiesHost
    }

    /// Forgets what was written down.
    func clear() { lines.removeAll() }

    private func shape(_ tensor: DeviceTensor) -> String { "\(tensor.rows)x\(tensor.columns)" }

    private func note(_ name: String, _ tensors: DeviceTensor?..., also detail: String = "") {
        let shapes = tensors.compactMap { $0.map(shape) }
        lines.append(([name] + shapes + (detail.isEmpty ? [] : [detail])).joined(separator: " "))
    }

    var activationType: ElementType { keepsHalves ? device.activationType : .float32 }

    func allocate(byteCount: Int) -> any DeviceMemory {
        note("allocate", also: "\(byteCount)")
        return device.allocate(byteCount: byteCount)
    }

    func adopt(_ host: AlignedBuffer<Float>) -> any DeviceMemory {
        guard copiesHost else { return device.adopt(host) }
        let copy = AlignedBuffer<Float>(count: host.count)
        let memory = device.adopt(copy)
        copies[ObjectIdentifier(memory)] = Copy(host: host, copy: copy)
        refresh(memory)
        return memory
    }

    func refresh(_ memory: any DeviceMemory) {
        note("refresh")
        device.refresh(memory)
        guard let pair = copies[ObjectIdentifier(memory)] else { return }
        pair.copy.pointer.update(from: pair.host.pointer, count: pair.host.count)
    }

    func settle(_ memory: any DeviceMemory) {
        note("settle")
        device.settle(memory)
        guard let pair = copies[ObjectIdentifier(memory)] else { return }
        pair.host.pointer.update(from: pair.copy.pointer, count: pair.host.count)
    }

    func upload(_ values: UnsafePointer<Int32>, to tensor: DeviceTensor) {
        note("upload", tensor)
        device.upload(values, to: tensor)
    }

    func upload(_ values: UnsafePointer<UInt8>, to tensor: DeviceTensor) {
        note("upload", tensor)
        device.upload(values, to: tensor)
    }

    func upload(_ values: UnsafePointer<Float>, to tensor: DeviceTensor) {
        note("upload", tensor)
        device.upload(values, to: tensor)
    }

    func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Float>) {
        note("download", tensor)
        device.download(tensor, into: values)
    }

    func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Int32>) {
        note("download", tensor)
        device.download(tensor, into: values)
    }

    func download(_ tensor: DeviceTensor, into values: UnsafeMutablePointer<Double>) {
        note("download", tensor)
        device.download(tensor, into: values)
    }

    func clear(_ tensor: DeviceTensor) {
        note("clear", tensor)
        device.clear(tensor)
    }

    func copy(_ source: DeviceTensor, to target: DeviceTensor) {
        if !source.isSame(as: target) { note("copy", source) }
        device.copy(source, to: target)
    }

    func scale(_ tensor: DeviceTensor, by factor: Float) {
        if factor != 1 { note("scale", tensor) }
        device.scale(tensor, by: factor)
    }

    func add(_ source: DeviceTensor, to target: DeviceTensor) {
        note("add", source)
        device.add(source, to: target)
    }

    func add(_ source: DeviceTensor, and base: DeviceTensor, into target: DeviceTensor) {
        note("add", source)
        device.add(source, and: base, into: target)
    }

    func addBias(_ bias: DeviceTensor, to target: DeviceTensor) {
        note("addBias", target)
        device.addBias(bias, to: target)
    }

    func addColumnSums(of source: DeviceTensor, to sums: DeviceTensor) {
        note("addColumnSums", source)
        device.addColumnSums(of: source, to: sums)
    }

    func maximumMagnitude(
        of source: DeviceTensor,
        into scalar: DeviceTensor,
        accumulating: Bool
    ) {
        note("maximumMagnitude", source)
        device.maximumMagnitude(of: source, into: scalar, accumulating: accumulating)
    }

    func addColumnMaxima(of source: DeviceTensor, to maxima: DeviceTensor) {
        note("addColumnMaxima", source)
        device.addColumnMaxima(of: source, to: maxima)
    }

    func norm(of source: DeviceTensor) -> Double {
        note("norm", source)
        return device.norm(of: source)
    }

    func preparedByteCount(rows: Int, columns: Int) -> Int {
        preparesWeights ? device.preparedByteCount(rows: rows, columns: columns) : 0
    }

    func prepare(_ weight: DeviceTensor, in memory: DeviceTensor) -> WeightOperand {
        note("prepare", weight)
        return device.prepare(weight, in: memory)
    }

    func multiply(_ product: LinearProduct) {
        switch product {
        case .forward(let input, let weight, let output):
            note("multiply", input, also: "\(weight.rows)x\(weight.columns) \(shape(output))")
        case .inputGradient(let outputGradient, let weight, let inputGradient, _):
            let shapes = "\(weight.rows)x\(weight.columns) \(shape(inputGradient))"
            note("multiply inputGradient", outputGradient, also: shapes)
        case .weightGradient(let outputGradient, let input, let weightGradient):
            note("multiply weightGradient", outputGradient, input, weightGradient)
        }
        device.multiply(product)
    }

    func addLowRank(
        _ factors: LowRankFactors,
        to base: DeviceTensor,
        into target: DeviceTensor
    ) {
        note("addLowRank", factors.b, factors.a)
        device.addLowRank(factors, to: base, into: target)
    }

    func embed(_ tokens: DeviceTensor, table: DeviceTensor, into output: DeviceTensor) {
        note("embed", output)
        device.embed(tokens, table: table, into: output)
    }

    func adopt(_ host: PackedWeight) -> PackedOperand { device.adopt(host) }

    func embed(
        _ tokens: DeviceTensor,
        packed table: PackedOperand,
        into output: DeviceTensor
    ) {
        note("embed packed", output)
        device.embed(tokens, packed: table, into: output)
    }

    func embedGradient(
        _ tokens: DeviceTensor,
        outputGradient: DeviceTensor,
        into tableGradient: DeviceTensor
    ) {
        note("embedGradient", outputGradient)
        device.embedGradient(tokens, outputGradient: outputGradient, into: tableGradient)
    }

    func normalize(
        _ input: DeviceTensor,
        _ norm: NormOperation,
        statistics: DeviceTensor,
        into output: DeviceTensor
    ) {
        note("normalize", input)
        device.normalize(input, norm, statistics: statistics, into: output)
    }

    func normGradient(_ norm: NormOperation, _ gradient: NormGradientOperation) {
        note("normGradient", gradient.input)
        device.normGradient(norm, gradient)
    }

    func rotate(_ values: DeviceTensor, _ rotation: RotationOperation, isInverse: Bool) {
        note(isInverse ? "rotate back" : "rotate", values)
        device.rotate(values, rotation, isInverse: isInverse)
    }

    func attend(_ attention: SequenceAttention, _ tensors: AttentionTensors) {
        note("attend", tensors.query, tensors.key)
        device.attend(attention, tensors)
    }

    func attendGradient(
        _ attention: SequenceAttention,
        _ tensors: AttentionTensors,
        gradients: AttentionTensors
    ) {
        note("attendGradient", tensors.query, tensors.key)
        device.attendGradient(attention, tensors, gradients: gradients)
    }

    func attend(_ attention: CachedAttentionOperation, _ tensors: AttentionTensors) {
        note("attend cached", tensors.query, tensors.key)
        device.attend(attention, tensors)
    }

    func store(_ source: DeviceTensor, of batch: PagedBatch, in pages: PagedRows) {
        note("store", source)
        device.store(source, of: batch, in: pages)
    }

    func attend(
        _ attention: PagedAttentionOperation,
        query: DeviceTensor,
        keys: PagedRows,
        values: PagedRows,
        into output: DeviceTensor
    ) {
        note("attend paged", query)
        device.attend(attention, query: query, keys: keys, values: values, into: output)
    }

    func activate(_ activation: DecoderKernels.Activation, _ tensors: GatedTensors) {
        note("activate", tensors.output)
        device.activate(activation, tensors)
    }

    func activateGradient(
        _ activation: DecoderKernels.Activation,
        _ tensors: GatedTensors,
        gradients: GatedTensors
    ) {
        note("activateGradient", tensors.output)
        device.activateGradient(activation, tensors, gradients: gradients)
    }

    func softCap(_ values: DeviceTensor, scale: Float, cap: Float) {
        note("softCap", values)
        device.softCap(values, scale: scale, cap: cap)
    }

    func softCapGradient(
        _ gradient: DeviceTensor,
        capped: DeviceTensor,
        scale: Float,
        cap: Float
    ) {
        note("softCapGradient", gradient)
        device.softCapGradient(gradient, capped: capped, scale: scale, cap: cap)
    }

    func softmax(_ values: DeviceTensor, scale: Float) {
        note("softmax", values)
        device.softmax(values, scale: scale)
    }

    func crossEntropy(
        _ logits: DeviceTensor,
        targets: DeviceTensor,
        gradientScale: Float,
        sums: DeviceTensor
    ) {
        note("crossEntropy", logits)
        device.crossEntropy(
            logits,
            targets: targets,
            gradientScale: gradientScale,
            sums: sums
        )
    }

    func divergence(
        _ divergence: Divergence,
        student: DeviceTensor,
        teacher: DeviceTensor,
        temperature: Float,
        gradientScale: Float,
        sums: DeviceTensor
    ) {
        note("divergence", student, also: "\(divergence)")
        device.divergence(
            divergence,
            student: student,
            teacher: teacher,
            temperature: temperature,
            gradientScale: gradientScale,
            sums: sums
        )
    }

    func findTopOutcomes(
        of logits: DeviceTensor,
        temperature: Float,
        into outcomes: TopOutcomeTensors
    ) {
        note("findTopOutcomes", logits, outcomes.values)
        device.findTopOutcomes(of: logits, temperature: temperature, into: outcomes)
    }

    func topDivergence(
        _ divergence: Divergence,
        student: DeviceTensor,
        teacher: TopOutcomeTensors,
        temperature: Float,
        gradientScale: Float,
        sums: DeviceTensor
    ) {
        note("topDivergence", student, teacher.values, also: "\(divergence)")
        device.topDivergence(
            divergence,
            student: student,
            teacher: teacher,
            temperature: temperature,
            gradientScale: gradientScale,
            sums: sums
        )
    }

    func hiddenError(
        student: DeviceTensor,
        teacher: DeviceTensor,
        gradientScale: Float,
        gradient: DeviceTensor,
        sums: DeviceTensor
    ) {
        note("hiddenError", student)
        device.hiddenError(
            student: student,
            teacher: teacher,
            gradientScale: gradientScale,
            gradient: gradient,
            sums: sums
        )
    }

    func fakeQuantize(_ source: DeviceTensor, _ rounding: Rounding, into target: DeviceTensor) {
        note("fakeQuantize", source, also: rounding.format.name)
        device.fakeQuantize(source, rounding, into: target)
    }

    func clipGradient(
        _ gradient: DeviceTensor,
        source: DeviceTensor,
        limit: Float,
        limitGradient: DeviceTensor
    ) {
        note("clipGradient", gradient)
        device.clipGradient(
            gradient,
            source: source,
            limit: limit,
            limitGradient: limitGradient
        )
    }

    func maskSaturated(_ gradient: DeviceTensor, source: DeviceTensor, _ rounding: Rounding) {
        note("maskSaturated", gradient, also: rounding.format.name)
        device.maskSaturated(gradient, source: source, rounding)
    }

    func scaleGradient(
        _ gradient: DeviceTensor,
        ofRounded roundedGradient: DeviceTensor,
        source: DeviceTensor,
        _ rounding: Rounding,
        factor: Float
    ) {
        note("scaleGradient", gradient, source, also: rounding.format.name)
        device.scaleGradient(
            gradient,
            ofRounded: roundedGradient,
            source: source,
            rounding,
            factor: factor
        )
    }

    func learnRounding(
        _ tensors: LearnedRoundingTensors,
        gradient: DeviceTensor,
        source: DeviceTensor,
        _ format: QuantizationFormat,
        step: LearnedRoundingStep
    ) {
        note("learnRounding", gradient, source, also: format.name)
        device.learnRounding(tensors, gradient: gradient, source: source, format, step: step)
    }

    func encodeSteps(
        _ steps: DeviceTensor,
        _ format: QuantizationFormat,
        into scales: Rounding.StoredScales
    ) {
        note("encodeSteps", steps, also: format.name)
        device.encodeSteps(steps, format, into: scales)
    }

    func adamW(_ tensors: AdamWTensors, step: AdamWStep) {
        note("adamW", tensors.weight)
        device.adamW(tensors, step: step)
    }

    func lion(_ tensors: LionTensors, step: LionStep) {
        note("lion", tensors.weight)
        device.lion(tensors, step: step)
    }

    func trackFlips(_ tensors: FlipTensors, rule: FlipRule) {
        note("trackFlips", tensors.weight)
        device.trackFlips(tensors, rule: rule)
    }

    func freezeFlips(_ tensors: FlipTensors) {
        note("freezeFlips", tensors.weight)
        device.freezeFlips(tensors)
    }

    func average(_ average: DeviceTensor, toward values: DeviceTensor, share: Float) {
        note("average", average)
        device.average(average, toward: values, share: share)
    }
}
