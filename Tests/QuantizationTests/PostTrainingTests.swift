internal import Formats
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Quantization

struct PostTrainingTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }
    private let rows = 6
    private let columns = 160

    private func random(_ count: Int, seed: UInt64) -> [Float] {
        var state = seed
        return (0..<count).map { _ in
            let uniform = (0..<4).reduce(Float(0)) { sum, _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return sum + Float(state >> 40) * 0x1p-24
            }
            return uniform - 2
        }
    }

    /// Second moments of inputs that are strongly correlated.
    private func moments(columns: Int) -> [Float] {
        let samples = 400
        let noise = random(samples * columns, seed: 5)
        let shared = random(samples * 4, seed: 6)
        var sums = [Float](repeating: 0, count: columns * columns)
        for sample in 0..<samples {
            let x = (0..<columns).map { column in
                noise[sample * columns + column] * 0.3
                    + shared[sample * 4 + column % 4] * (column % 7 == 0 ? 4 : 1)
            }
            for a in 0..<columns {
                for b in 0..<columns { sums[a * columns + b] += x[a] * x[b] }
            }
        }
        return sums
    }

    /// `Σ (Δ · x)²` over rows: what rounding changes of the outputs.
    private func outputError(_ before: [Float], _ after: [Float], _ moments: [Float]) -> Double {
        var total = 0.0
        for row in 0..<rows {
            let delta = (0..<columns).map {
                Double(before[row * columns + $0] - after[row * columns + $0])
            }
            for a in 0..<columns {
                for b in 0..<columns {
                    total += delta[a] * delta[b] * Double(moments[a * columns + b])
                }
            }
        }
        return total
    }

    private func round(
        _ values: [Float],
        _ format: QuantizationFormat,
        _ body: (UnsafeMutableBufferPointer<Float>) throws -> PackedTensor
    ) rethrows -> ([Float], PackedTensor) {
        var rounded = values
        let packed = try rounded.withUnsafeMutableBufferPointer { try body($0) }
        return (rounded, packed)
    }

    private func dequantized(_ packed: PackedTensor) throws -> [Float] {
        var output = [Float](repeating: .nan, count: packed.rows * packed.columns)
        try output.withUnsafeMutableBufferPointer {
            try BlockQuantizer.dequantize(packed, into: $0, team: Self.team)
        }
        return output
    }

    @Test(arguments: QuantizationFormat.all)
    func searchIsNeverWorseAndStoresWhatItRounds(format: QuantizationFormat) throws {
        // Long tails, where giving up the largest value pays.
        let values = random(rows * columns, seed: 1).map { $0 * $0 * $0 }
        var errors: [Double] = []
        for search in [ScaleSearch.max, .mse, .sweep, .percentile(99)] {
            let (rounded, packed) = try round(values, format) {
                try WeightRounding.round(
                    $0,
                    columns: columns,
                    format: format,
                    search: search,
                    team: Self.team
                )
            }
            #expect(try dequantized(packed) == rounded)
            errors.append(
                zip(values, rounded).reduce(0) {
                    $0 + Double(($1.0 - $1.1) * ($1.0 - $1.1))
                }
            )
            if search == .max {
                let plain = try values.withUnsafeBufferPointer {
                    try BlockQuantizer.quantize(
                        $0,
                        rows: rows,
                        columns: columns,
                        format: format,
                        team: Self.team
                    )
                }
                #expect(plain == packed)
            }
        }
        #expect(errors[1] <= errors[0])
        #expect(errors[2] <= errors[1])
        // Four bits leave something to win.
        if format.element == .e2m1 { #expect(errors[1] < errors[0]) }
    }

    @Test(arguments: QuantizationFormat.all, [false, true])
    func gptqLowersTheOutputError(format: QuantizationFormat, ordered: Bool) throws {
        let values = random(rows * columns, seed: 2)
        let moments = moments(columns: columns)
        let (nearest, _) = try round(values, format) {
            try WeightRounding.round(
                $0,
                columns: columns,
                format: format,
                search: .mse,
                team: Self.team
            )
        }
        let gptq = GPTQ(usesActivationOrder: ordered)
        let (rounded, packed) = try round(values, format) { values in
            try moments.withUnsafeBufferPointer {
                try gptq.round(
                    values,
                    rows: rows,
                    columns: columns,
                    format: format,
                    moments: $0,
                    team: Self.team
                )
            }
        }
        #expect(try dequantized(packed) == rounded)
        let before = outputError(values, nearest, moments)
        let after = outputError(values, rounded, moments)
        #expect(after < 0.7 * before, "\(format.name): \(after) against \(before)")
    }

    /// Columns enough for several panels, rows for several bands.
    @Test(arguments: [false, true])
    func gptqIsTheSameForAnyNumberOfThreads(ordered: Bool) throws {
        let (rows, columns) = (250, 320)
        let values = random(rows * columns, seed: 7)
        let moments = moments(columns: columns)
        let found = try [1, 2, 3, 5].map { threads in
            try round(values, .mxfp4) { values in
                try moments.withUnsafeBufferPointer {
                    try GPTQ(usesActivationOrder: ordered).round(
                        values,
                        rows: rows,
                        columns: columns,
                        format: .mxfp4,
                        moments: $0,
                        team: ThreadTeam(threadCount: threads)
                    )
                }
            }
        }
        for (rounded, packed) in found.dropFirst() {
            #expect(rounded == found[0].0 && packed == found[0].1)
        }
    }

    /// Uncorrelated inputs leave nothing to make good: GPTQ is then rounding to nearest.
    @Test func gptqOfIndependentInputsRoundsToNearest() throws {
        let values = random(rows * columns, seed: 3)
        var identity = [Float](repeating: 0, count: columns * columns)
        for column in 0..<columns { identity[column * columns + column] = 2 }
        let (nearest, expected) = try round(values, .mxfp4) {
            try WeightRounding.round(
                $0,
                columns: columns,
                format: .mxfp4,
                search: .max,
                team: Self.team
            )
        }
        for ordered in [false, true] {
            let gptq = GPTQ(usesActivationOrder: ordered, search: .max)
            let (rounded, packed) = try round(values, .mxfp4) { values in
                try identity.withUnsafeBufferPointer {
                    try gptq.round(
                        values,
                        rows: rows,
                        columns: columns,
                        format: .mxfp4,
                        moments: $0,
                        team: Self.team
                    )
                }
            }
            #expect(rounded == nearest && packed == expected)
        }
    }

    /// The same columns by the textbook: one at a time in double precision, the inverse updated by
    /// elimination.
    @Test func gptqFollowsItsDefinition() throws {
        let n = 32
        let values = random(n, seed: 4)
        let moments = moments(columns: n)
        var gptq = GPTQ(search: .max)
        gptq.damping = 0.05
        let format = QuantizationFormat(element: .e2m1, scaleMode: .rceil)
        var rounded = values
        let packed = try rounded.withUnsafeMutableBufferPointer { values in
            try moments.withUnsafeBufferPointer {
                try gptq.round(
                    values,
                    rows: 1,
                    columns: n,
                    format: format,
                    moments: $0,
                    team: Self.team
                )
            }
        }
        let mean = (0..<n).reduce(0.0) { $0 + Double(moments[$1 * n + $1]) } / Double(n)
        var h = (0..<n).map { a in
            (0..<n).map { b in Double(moments[a * n + b]) + (a == b ? 0.05 * mean : 0) }
        }
        h = Self.inverse(h)
        let step = Double(Float(sign: .plus, exponent: Int(packed.scales[0]) - 127, significand: 1))
        var w = values.map(Double.init)
        let grid = [0, 0.5, 1, 1.5, 2, 3, 4, 6].map { $0 * step }
        for column in 0..<n {
            let nearest = grid.min { abs($0 - abs(w[column])) < abs($1 - abs(w[column])) } ?? 0
            let q = w[column] < 0 ? -nearest : nearest
            let error = (w[column] - q) / h[column][column]
            for next in column + 1..<max(n, column + 1) { w[next] -= error * h[column][next] }
            w[column] = q
            // The inverse without this column.
            let row = h[column]
            for a in column..<n {
                for b in column..<n { h[a][b] -= row[a] * row[b] / row[column] }
            }
        }
        #expect(zip(rounded, w).allSatisfy { abs(Double($0) - $1) < 1e-6 })
    }

    private static func inverse(_ matrix: [[Double]]) -> [[Double]] {
        let n = matrix.count
        var a = matrix.enumerated().map { row, values in
            values + (0..<n).map { $0 == row ? 1.0 : 0 }
        }
        for pivot in 0..<n {
            let scale = a[pivot][pivot]
            a[pivot] = a[pivot].map { $0 / scale }
            for row in 0..<n where row != pivot {
                let factor = a[row][pivot]
                for column in 0..<2 * n { a[row][column] -= factor * a[pivot][column] }
            }
        }
        return a.map { Array($0[n...]) }
    }

    @Test func momentsThatAreNoneAreRefused() throws {
        var values = random(32, seed: 7)
        let zeros = [Float](repeating: 0, count: 32 * 32)
        let nans = [Float](repeating: .nan, count: 32 * 32)
        try values.withUnsafeMutableBufferPointer { values in
            // No input ever fires: everything is free, and rounded to nearest.
            _ = try zeros.withUnsafeBufferPointer {
                try GPTQ().round(
                    values,
                    rows: 1,
                    columns: 32,
                    format: .mxfp4,
                    moments: $0,
                    team: Self.team
                )
            }
            let error = #expect(throws: QuantizationError.self) {
                try nans.withUnsafeBufferPointer {
                    try GPTQ().round(
                        values,
                        rows: 1,
                        columns: 32,
                        format: .mxfp4,
                        moments: $0,
                        team: Self.team
                    )
                }
            }
            #expect(error?.code == .invalidMoments)
        }
    }
}
