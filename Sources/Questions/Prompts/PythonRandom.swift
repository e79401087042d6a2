internal import ModelFiles

/// Python's `random.Random`, as far as examples are drawn by it.
struct PythonRandom {
    /// The harness's `fewshot_random_seed`.
    static let exampleSeed: UInt32 = 1234

    private var twister: MersenneTwister

    init(seed: UInt32) { twister = MersenneTwister(pythonSeed: seed) }

    /// `random.sample(range(population), count)`; `count` is at most `population`, below 2³².
    mutating func sample(_ count: Int, of population: Int) -> [Int] {
        precondition(count <= population, "sample: \(count) of \(population)")
        func draw(below bound: Int) -> Int {
            Int(twister.pythonNumber(below: UInt32(bound)))
        }
        // Python's rule for which of two ways takes less memory.
        var poolSize = 21
        if count > 5 {
            var power = 1
            while power < count * 3 { power *= 4 }
            poolSize += power
        }
        guard population > poolSize else {
            var pool = Array(0..<population)
            return (0..<count).map { index in
                let place = draw(below: population - index)
                defer { pool[place] = pool[population - index - 1] }
                return pool[place]
            }
        }
        var seen: Set<Int> = []
        return (0..<count).map { _ in
            var place = draw(below: population)
            while !seen.insert(place).inserted { place = draw(below: population) }
            return place
        }
    }
}
