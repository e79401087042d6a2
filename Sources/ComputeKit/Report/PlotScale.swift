#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Maps values to coordinates, linearly or by their logarithms, between round ends.
struct PlotScale {
    /// How values become distances.
    enum Kind {
        case linear
        /// Linear, with marks at whole numbers only.
        case count
        /// Linear, with marks at whole numbers only and ends at the values themselves.
        case index
        case logarithmic
    }

    /// A value to mark on the axis.
    struct Tick {
        /// The value.
        var value: Double
        /// Its text; empty for a mark between labelled ones.
        var text: String
    }

    /// How values become distances.
    let kind: Kind
    /// The round values that were chosen to be marked, in order.
    private(set) var ticks: [Tick]
    // The domain's ends: values, or exponents of ten.
    private let lower: Double
    private let upper: Double
    private var start = 0.0
    private var end = 1.0

    /// A scale over `values`, which may be empty, with about `tickCount` steps.
    ///
    /// Values that are not finite do not count, nor those that have no logarithm. A linear scale
    /// keeps its ends within 10^300 and writes its ticks times `unit`.
    init(
        _ kind: Kind,
        over values: [Double],
        tickCount: Int = 5,
        unit: Double = 1
    ) {
        self.kind = kind
        switch kind {
        case .linear, .count, .index:
            let isInteger = kind != .linear
            let shown = values.filter(\.isFinite).map { Swift.max(-1e300, Swift.min(1e300, $0)) }
            let (low, high) = Self.widened(shown.min() ?? 0, shown.max() ?? 1, isInteger)
            let step = Self.roundStep((high - low) / Double(tickCount), isInteger: isInteger)
            lower = kind == .index ? low : (low / step).rounded(.down) * step
            upper = kind == .index ? high : (high / step).rounded(.up) * step
            let first = (lower / step).rounded(.up)
            let count = Int(((upper / step) - first + 1e-6).rounded(.down))
            ticks = (0...Swift.max(0, Swift.min(count, 100))).map {
                let value = (first + Double($0)) * step
                return Tick(value: value, text: Self.text(value * unit, step: step * unit))
            }
        case .logarithmic:
            let exponents = values.filter { $0 > 0 && $0.isFinite }.map { log10($0) }
            let low = ((exponents.min() ?? 0) + 1e-9).rounded(.down)
            let high = ((exponents.max() ?? 0) - 1e-9).rounded(.up)
            lower = low
            upper = Swift.max(high, low + 1)
            ticks = Self.decades(Int(lower)...Int(upper), tickCount: tickCount)
        }
    }

    /// The scale with its domain laid from one coordinate to another.
    func placed(from start: Double, to end: Double) -> PlotScale {
        var scale = self
        (scale.start, scale.end) = (start, end)
        return scale
    }

    /// The scale with texts at every second, third … tick, so that at most `limit` have one.
    func labelled(atMost limit: Int) -> PlotScale {
        var scale = self
        let stride = (ticks.count + limit - 1) / limit
        for place in ticks.indices where place % stride != 0 {
            scale.ticks[place].text = ""
        }
        return scale
    }

    /// The coordinate of a value, or nothing if it has no place on the scale.
    func position(_ value: Double) -> Double? {
        guard value.isFinite, kind != .logarithmic || value > 0 else {
            return nil
        }
        let place = kind == .logarithmic ? log10(value) : value
        let share = (place - lower) / (upper - lower)
        return start + Swift.max(0, Swift.min(1, share)) * (end - start)
    }

    private static func widened(
        _ low: Double,
        _ high: Double,
        _ isInteger: Bool
    ) -> (Double, Double) {
        let magnitude = Swift.max(abs(low), abs(high))
        guard high - low <= Swift.max(magnitude * 1e-9, 1e-290) else {
            return (low, high)
        }
        let share = magnitude * (isInteger ? 1e-6 : 0.1)
        let margin = Swift.max(share, isInteger || magnitude == 0 ? 0.5 : 1e-290)
        return (low - margin, high + margin)
    }

    /// The least of 1, 2 or 5 times a power of ten that is not below `step`.
    private static func roundStep(_ step: Double, isInteger: Bool) -> Double {
        let power = pow(10, log10(step).rounded(.down))
        let round = [1.0, 2, 5, 10].first { $0 * power >= step * 0.999_999 } ?? 10
        return isInteger ? Swift.max(1, round * power) : round * power
    }

    /// `value` with as many decimals as tell multiples of `step` apart.
    private static func text(_ value: Double, step: Double) -> String {
        let decimals = -log10(step * 1.000_001).rounded(.down)
        guard decimals <= 4, abs(value) < 1e6 || step == step.rounded() else {
            return NumberText.significant(value)
        }
        return NumberText.fixed(value, Swift.max(0, Int(decimals)))
    }

    private static func decades(_ range: ClosedRange<Int>, tickCount: Int) -> [Tick] {
        let stride = Swift.max(1, (range.count + tickCount) / (tickCount + 1))
        return range.flatMap { exponent in
            let isLabelled = (exponent - range.lowerBound) % stride == 0
            let text = isLabelled ? NumberText.powerOfTen(exponent) : ""
            let decade = [Tick(value: pow(10, Double(exponent)), text: text)]
            guard range.count <= 3, exponent < range.upperBound else {
                return decade
            }
            return decade
                + [2.0, 5].map { factor in
                    Tick(
                        value: factor * pow(10, Double(exponent)),
                        text: "\(Int(factor))×\(NumberText.powerOfTen(exponent))"
                    )
                }
        }
    }
}
