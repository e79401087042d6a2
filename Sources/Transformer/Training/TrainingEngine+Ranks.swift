internal import Devices
internal import Kernels

// One model, trained by several processes: each takes every so-manieth micro-batch of a step.
//
// All ranks' engines have the same settings, but for the average of weights, which rank 0 alone keeps, and take
// the same steps with the same windows, all of a step's: what losses are divided by is counted in them.

extension TrainingEngine {
    /// The micro-batches of a step that this process runs over.
    var ownMicroBatches: StrideTo<Int> {
        guard let ranks = reduction?.ranks else {
            return stride(from: 0, to: settings.accumulation, by: 1)
        }
        return stride(from: ranks.rank, to: settings.accumulation, by: ranks.count)
    }

    /// Makes what all ranks train, and the steps they have taken, those of rank 0, where a run was begun or
    /// restored; nothing in one process.
    ///
    /// Fixed scales of parameters, ranges of inputs and of the cache are the caller's to hand over, before.
    public func shareState() {
        guard let ranks = reduction?.ranks else { return }
        var step = Double(stepCount)
        withUnsafeMutableBytes(of: &step) { ranks.broadcast($0) }
        ranks.broadcast(UnsafeMutableRawBufferPointer(stored.storage.elements))
        for tensor in sharedState { ranks.broadcast(tensor.bytes) }
        // Moments of a run that begins are zero everywhere.
        if step > 0 { optimizer.spread() }
        if ranks.rank > 0 { take(atStep: Int(step)) }
    }

    /// Brings the optimizer's moments of all ranks to rank 0, whose ``state`` is whole then; nothing in one
    /// process.
    public func collectState() { optimizer.collect() }

    /// What this rank told the others so far; nil in one process.
    public var traffic: RankTraffic? { reduction?.traffic }

    private var sharedState: [TrainingTensor] {
        (adapters?.tensors ?? []) + (learnedScales?.tensors ?? []) + (clips?.tensors ?? [])
            + (frozenCodes?.tensors ?? [])
    }
}

extension GradientReduction {
    /// The sums of all ranks' losses.
    func sum(_ loss: LossParts) -> LossParts {
        var parts = [loss.main, loss.crossEntropy, loss.hidden]
        withUnsafeTemporaryAllocation(of: Double.self, capacity: 3 * parts.count) { values in
            for (index, part) in parts.enumerated() {
                values[3 * index] = part.loss
                values[3 * index + 1] = Double(part.rows)
                values[3 * index + 2] = Double(part.correct)
            }
            ranks.sum(values)
            for index in parts.indices {
                parts[index].loss = values[3 * index]
                // A sum with a NaN is none, but rows are counted.
                parts[index].rows = Int(values[3 * index + 1])
                parts[index].correct = Int(values[3 * index + 2])
            }
        }
        return LossParts(main: parts[0], crossEntropy: parts[1], hidden: parts[2])
    }

    /// The text that belongs to the lowest number of all ranks'; empty if none has one.
    func first(of found: (number: Int, text: String)?) -> String {
        var numbers = [Double](repeating: 0, count: ranks.count)
        numbers[ranks.rank] = found.map { Double($0.number + 1) } ?? 0
        numbers.withUnsafeMutableBufferPointer { ranks.sum($0) }
        let first = numbers.filter { $0 > 0 }.min()
        var bytes = [Double](repeating: 0, count: 512)
        if let found, Double(found.number + 1) == first {
            for (index, byte) in found.text.utf8.prefix(bytes.count).enumerated() {
                bytes[index] = Double(byte)
            }
        }
        bytes.withUnsafeMutableBufferPointer { ranks.sum($0) }
        return String(decoding: bytes.prefix { $0 > 0 }.map { UInt8($0) }, as: UTF8.self)
    }
}
