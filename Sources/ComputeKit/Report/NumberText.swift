#if canImport(Glibc)
    internal import Glibc
#else
    internal import Darwin
#endif

/// Numbers as people read them: few digits, a real minus sign, words for what is no number.
enum NumberText {
    /// What stands for a value that is missing or not a number.
    static let missing = "n/a"

    /// `value` with `digits` decimals; in powers of ten from 10^15 on.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else {
            return value.isNaN ? missing : value < 0 ? "−∞" : "∞"
        }
        guard abs(value) < 1e15, digits < 4 || abs(value) < 1e9 else {
            return scientific(value, digits)
        }
        let unit = (0..<digits).reduce(Int64(1)) { product, _ in product * 10 }
        let scaled = Int64((abs(value) * Double(unit)).rounded())
        let sign = value < 0 && scaled > 0 ? "−" : ""
        guard digits > 0 else {
            return sign + String(scaled)
        }
        let fraction = String(scaled % unit)
        let zeros = String(repeating: "0", count: digits - fraction.count)
        return "\(sign)\(scaled / unit).\(zeros)\(fraction)"
    }

    /// Three significant digits, as in `0.0123`, `4.25` or `1.23e−7`.
    static func significant(_ value: Double) -> String {
        let magnitude = abs(value)
        return switch magnitude {
        case 0: "0"
        case ..<0.000_999_5: scientific(value, 2)
        case ..<0.009_995: fixed(value, 5)
        case ..<0.099_95: fixed(value, 4)
        case ..<0.999_5: fixed(value, 3)
        case ..<9.995: fixed(value, 2)
        case ..<99.95: fixed(value, 1)
        case ..<1e6: fixed(value, 0)
        default: value.isFinite ? scientific(value, 2) : fixed(value, 0)
        }
    }

    /// `value` as a mantissa with `digits` decimals and a power of ten: `1.23e−7`.
    static func scientific(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite, value != 0 else {
            return value == 0 ? "0" : fixed(value, 0)
        }
        var exponent = Int(log10(abs(value)).rounded(.down))
        // In two steps, so that no power of ten leaves the range for the smallest numbers.
        var mantissa = value * pow(10, Double(-exponent / 2))
        mantissa *= pow(10, Double(-exponent - (-exponent / 2)))
        let text = fixed(mantissa, digits)
        if text.drop(while: { $0 == "−" }).hasPrefix("10") {
            mantissa /= 10
            exponent += 1
        }
        return "\(fixed(mantissa, digits))e\(exponent < 0 ? "−" : "")\(abs(exponent))"
    }

    /// A power of ten as on a logarithmic axis: `10⁻⁵`.
    static func powerOfTen(_ exponent: Int) -> String {
        let digits = Array("⁰¹²³⁴⁵⁶⁷⁸⁹")
        let raised = String(abs(exponent)).compactMap(\.wholeNumberValue).map { digits[$0] }
        return "10" + (exponent < 0 ? "⁻" : "") + String(raised)
    }

    /// A signal-to-noise ratio in decibels without its unit; an infinite one is `exact`.
    static func decibels(_ value: Double, _ digits: Int = 1) -> String {
        value == .infinity ? "exact" : fixed(value, digits)
    }

    /// A share of one as a percentage.
    static func percent(_ share: Double) -> String {
        switch abs(share) {
        case 0: "0%"
        case ..<0.000_05: "<0.01%"
        case ..<0.099_95: fixed(share * 100, 2) + "%"
        default: fixed(share * 100, 1) + "%"
        }
    }

    /// A count with a comma between thousands.
    static func grouped(_ count: Int) -> String {
        var digits = Array(String(count.magnitude))
        for place in stride(from: digits.count - 3, to: 0, by: -3) {
            digits.insert(",", at: place)
        }
        return (count < 0 ? "−" : "") + String(digits)
    }

    /// A byte count in decimal units: `70.3 MB`.
    static func bytes(_ count: Double) -> String {
        let units = ["B", "kB", "MB", "GB", "TB", "PB"]
        var (value, unit) = (count, 0)
        while abs(value) >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        return "\(unit == 0 ? fixed(value, 0) : significant(value)) \(units[unit])"
    }
}
