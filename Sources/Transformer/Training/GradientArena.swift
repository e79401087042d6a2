internal import Kernels

/// Gradients of the trainable parameters, in one arena with none for frozen ones.
final class GradientArena {
    /// A trainable parameter and its place here.
    struct Slot {
        let entry: ParameterLayout.Entry
        let offset: Int
    }

    let slots: [Slot]
    let storage: AlignedBuffer<Float>
    /// Elements per partial sum of the norm, however many threads there are.
    private static let chunk = 1 << 16
    private let partialSums: AlignedBuffer<Double>
    // By the parameter's offset in the parameter arena, which is what a pass knows.
    private let offsets: [Int: Int]

    init(layout: ParameterLayout, isFrozen: (String) -> Bool) {
        var slots: [Slot] = []
        var total = 0
        for entry in layout.entries where !isFrozen(entry.name) {
            slots.append(Slot(entry: entry, offset: total))
            // Each parameter starts on a cache line of its own.
            total += (entry.count + 15) / 16 * 16
        }
        self.slots = slots
        storage = AlignedBuffer(count: total)
        partialSums = AlignedBuffer(count: (total + Self.chunk - 1) / Self.chunk)
        offsets = Dictionary(uniqueKeysWithValues: slots.map { ($0.entry.offset, $0.offset) })
    }

    /// The gradient of the parameter at `parameterOffset`, or nil if it is frozen.
    func gradient(ofParameterAt parameterOffset: Int) -> UnsafeMutablePointer<Float>? {
        offsets[parameterOffset].map { storage.pointer + $0 }
    }

    func clear(team: ThreadTeam) {
        team.parallelFor(count: storage.count, grain: 16) { range in
            (storage.pointer + range.lowerBound).update(repeating: 0, count: range.count)
        }
    }

    /// Global L2 norm; it does not depend on the number of threads.
    func norm(team: ThreadTeam) -> Double {
        team.parallelFor(count: partialSums.count) { range in
            for index in range {
                let start = index * Self.chunk
                partialSums.pointer[index] = OptimizerKernels.sumOfSquares(
                    storage.pointer + start,
                    count: min(Self.chunk, storage.count - start)
                )
            }
        }
        return partialSums.elements.reduce(0, +).squareRoot()
    }
}
