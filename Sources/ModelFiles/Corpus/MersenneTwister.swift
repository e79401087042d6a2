/// The generator MT19937 as NumPy's `RandomState` and PyTorch's CPU generator seed it, and the
/// shuffles that they draw with it.
///
/// - SeeAlso: Matsumoto and Nishimura 1998, doi:10.1145/272991.272995.
package struct MersenneTwister {
    private static let size = 624
    private static let middle = 397
    private var state: [UInt32]
    private var index = size

    init(seed: UInt32) {
        state = [UInt32](repeating: 0, count: Self.size)
        state[0] = seed
        for place in 1..<Self.size {
            let last = state[place - 1]
            state[place] = 1_812_433_253 &* (last ^ (last >> 30)) &+ UInt32(place)
        }
    }

    /// The state that Python's `random.seed` makes of a whole number below 2³².
    ///
    /// - SeeAlso: `init_by_array` of the authors' mt19937ar.c, 2002.
    package init(pythonSeed seed: UInt32) {
        self.init(seed: 19_650_218)
        var place = 1
        func advance(_ state: inout [UInt32]) {
            place += 1
            guard place >= Self.size else { return }
            state[0] = state[Self.size - 1]
            place = 1
        }
        for _ in 0..<Self.size {
            let last = state[place - 1]
            state[place] = (state[place] ^ ((last ^ (last >> 30)) &* 1_664_525)) &+ seed
            advance(&state)
        }
        for _ in 1..<Self.size {
            let last = state[place - 1]
            state[place] =
                (state[place] ^ ((last ^ (last >> 30)) &* 1_566_083_941)) &- UInt32(place)
            advance(&state)
        }
        state[0] = 0x8000_0000
    }

    /// A number in `0 ..< bound`, as Python's `random.randrange` draws it; `bound` is 1 or more.
    package mutating func pythonNumber(below bound: UInt32) -> UInt32 {
        let shift = UInt32(bound.leadingZeroBitCount)
        while true {
            let value = next() >> shift
            if value < bound { return value }
        }
    }

    /// 32 random bits.
    mutating func next() -> UInt32 {
        if index == Self.size { renew() }
        var value = state[index]
        index += 1
        value ^= value >> 11
        value ^= (value << 7) & 0x9D2C_5680
        value ^= (value << 15) & 0xEFC6_0000
        return value ^ (value >> 18)
    }

    private mutating func renew() {
        for place in 0..<Self.size {
            let joined =
                (state[place] & 0x8000_0000) | (state[(place + 1) % Self.size] & 0x7FFF_FFFF)
            let mask: UInt32 = joined & 1 == 0 ? 0 : 0x9908_B0DF
            state[place] = state[(place + Self.middle) % Self.size] ^ (joined >> 1) ^ mask
        }
        index = 0
    }

    /// Shuffles as `numpy.random.RandomState.shuffle`; fewer than 2³² values.
    mutating func shuffle(_ values: inout ArraySlice<Int32>) {
        let first = values.startIndex
        var last = values.count - 1
        while last > 0 {
            values.swapAt(first + last, first + Int(number(upTo: UInt32(last))))
            last -= 1
        }
    }

    /// `0 ..< count` in the order of `torch.randperm`, of fewer than 2³² / 20.
    mutating func permutation(_ count: Int) -> [Int32] {
        precondition(count < Int(UInt32.max / 20), "permutation: of \(count)")
        var values = Array(0..<Int32(count))
        for place in 0..<max(count - 1, 0) {
            values.swapAt(place, place + Int(next() % UInt32(count - place)))
        }
        return values
    }

    /// A number in `0 ... limit`: masked bits, drawn again until they are.
    private mutating func number(upTo limit: UInt32) -> UInt32 {
        let mask = limit == 0 ? 0 : UInt32.max >> limit.leadingZeroBitCount
        while true {
            let value = next() & mask
            if value <= limit { return value }
        }
    }
}
