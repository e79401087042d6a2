internal import OrderedCollections

#if canImport(Glibc)
    internal import Glibc
#elseif canImport(Musl)
    internal import Musl
#else
    internal import Darwin
#endif

/// Operators, as Python has them.
enum TemplateArithmetic {
    static func compute(
        _ operation: Arithmetic,
        _ left: TemplateValue,
        _ right: TemplateValue
    ) throws(TemplateError) -> TemplateValue {
        if let one = left.wholeNumber, let other = right.wholeNumber {
            return try whole(operation, one, other)
        }
        if let one = left.number, let other = right.number {
            return try real(operation, one, other)
        }
        switch (operation, left, right) {
        case (.add, .text(let one), .text(let other)):
            try TemplateLimits.require(bytes: one.utf8.count, and: other.utf8.count)
            return .text(one + other)
        case (.add, .list(let one), .list(let other)):
            try TemplateLimits.require(items: one.count + other.count)
            return .list(one + other)
        case (.add, .tuple(let one), .tuple(let other)):
            try TemplateLimits.require(items: one.count + other.count)
            return .tuple(one + other)
        case (.multiply, .text(let text), _):
            if let count = right.wholeNumber { return try repeated(text, count) }
        case (.multiply, _, .text(let text)):
            if let count = left.wholeNumber { return try repeated(text, count) }
        case (.multiply, .list(let items), _):
            if let count = right.wholeNumber { return .list(try repeated(items, count)) }
        case (.multiply, _, .list(let items)):
            if let count = left.wholeNumber { return .list(try repeated(items, count)) }
        case (.remainder, .text, _):
            throw TemplateError(.unsupported, "texts formatted by % are not rendered here; write ~")
        case (_, .undefined(let what), _), (_, _, .undefined(let what)):
            throw TemplateError(.undefined, "\(what) is undefined, and computed with")
        default: break
        }
        throw TemplateError(.type, "\(left.kind) \(operation.rawValue) \(right.kind)")
    }

    private static func repeated(_ text: String, _ count: Int) throws(TemplateError)
        -> TemplateValue
    {
        try TemplateLimits.require(bytes: text.utf8.count, times: count)
        return .text(String(repeating: text, count: max(count, 0)))
    }

    private static func repeated(
        _ items: [TemplateValue],
        _ count: Int
    ) throws(TemplateError) -> [TemplateValue] {
        try TemplateLimits.require(items: items.count, times: count)
        return Array(repeatElement(items, count: max(count, 0)).joined())
    }

    private static func whole(
        _ operation: Arithmetic,
        _ left: Int,
        _ right: Int
    ) throws(TemplateError) -> TemplateValue {
        func checked(_ result: (partialValue: Int, overflow: Bool)) throws(TemplateError)
            -> TemplateValue
        {
            guard !result.overflow else { throw TemplateError(.limit, "a number beyond 64 bits") }
            return .integer(result.partialValue)
        }
        switch operation {
        case .add: return try checked(left.addingReportingOverflow(right))
        case .subtract: return try checked(left.subtractingReportingOverflow(right))
        case .multiply: return try checked(left.multipliedReportingOverflow(by: right))
        case .divide: return try real(.divide, Double(left), Double(right))
        case .divideWhole, .remainder:
            guard right != 0 else { throw TemplateError(.type, "a division by zero") }
            let (quotient, overflow) = left.dividedReportingOverflow(by: right)
            guard !overflow else { throw TemplateError(.limit, "a number beyond 64 bits") }
            let rest = left - quotient * right
            let isBelow = rest != 0 && (rest < 0) != (right < 0)
            if operation == .divideWhole { return .integer(isBelow ? quotient - 1 : quotient) }
            return .integer(isBelow ? rest + right : rest)
        case .power:
            guard right >= 0 else { return try real(.power, Double(left), Double(right)) }
            var result = 1
            for _ in 0..<min(right, 64) {
                guard
                    case .integer(let next) = try checked(
                        result.multipliedReportingOverflow(by: left)
                    )
                else { break }
                result = next
            }
            guard right <= 64 || abs(left) <= 1 else {
                throw TemplateError(.limit, "a number beyond 64 bits")
            }
            return .integer(left == -1 ? (right.isMultiple(of: 2) ? 1 : -1) : result)
        }
    }

    private static func real(
        _ operation: Arithmetic,
        _ left: Double,
        _ right: Double
    ) throws(TemplateError) -> TemplateValue {
        switch operation {
        case .add: return .real(left + right)
        case .subtract: return .real(left - right)
        case .multiply: return .real(left * right)
        case .power: return .real(pow(left, right))
        case .divide, .divideWhole, .remainder:
            guard right != 0 else { throw TemplateError(.type, "a division by zero") }
            if operation == .divide { return .real(left / right) }
            let quotient = (left / right).rounded(.down)
            if operation == .divideWhole { return .real(quotient) }
            let rest = left.truncatingRemainder(dividingBy: right)
            return .real(rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest)
        }
    }

    static func holds(
        _ comparison: Comparison,
        _ left: TemplateValue,
        _ right: TemplateValue
    ) throws(TemplateError) -> Bool {
        switch comparison {
        case .equal: TemplateValue.areEqual(left, right)
        case .notEqual: !TemplateValue.areEqual(left, right)
        case .less: try order(left, right) { $0 < $1 }
        case .lessOrEqual: try order(left, right) { $0 <= $1 }
        case .greater: try order(left, right) { $0 > $1 }
        case .greaterOrEqual: try order(left, right) { $0 >= $1 }
        case .in: try contains(right, left)
        case .notIn: !(try contains(right, left))
        }
    }

    private static func order(
        _ left: TemplateValue,
        _ right: TemplateValue,
        _ holds: (Double, Double) -> Bool
    ) throws(TemplateError) -> Bool {
        if let one = left.number, let other = right.number { return holds(one, other) }
        return holds(Double(try compare(left, right)), 0)
    }

    /// -1, 0 or 1.
    static func compare(_ left: TemplateValue, _ right: TemplateValue) throws(TemplateError) -> Int
    {
        if let one = left.number, let other = right.number {
            return one < other ? -1 : one > other ? 1 : 0
        }
        switch (left, right) {
        case (.text(let one), .text(let other)):
            if one.unicodeScalars.elementsEqual(other.unicodeScalars) { return 0 }
            return one.unicodeScalars.lexicographicallyPrecedes(other.unicodeScalars) ? -1 : 1
        case (.list(let one), .list(let other)), (.tuple(let one), .tuple(let other)):
            for (a, b) in zip(one, other) {
                let order = try compare(a, b)
                if order != 0 { return order }
            }
            return (one.count - other.count).signum()
        case (.undefined(let what), _), (_, .undefined(let what)):
            throw TemplateError(.undefined, "\(what) is undefined, and put in order")
        default: throw TemplateError(.type, "\(left.kind) beside \(right.kind) have no order")
        }
    }

    private static func contains(
        _ container: TemplateValue,
        _ item: TemplateValue
    ) throws(TemplateError) -> Bool {
        switch container {
        case .text(let text):
            guard case .text(let part) = item else {
                throw TemplateError(.type, "\(item.kind) in a text")
            }
            return TemplateText.find(part, in: text) != nil
        case .object(let members):
            switch item {
            case .text(let key): return members[key] != nil
            case .list, .object: throw TemplateError(.type, "\(item.kind) is no key")
            default: return false
            }
        case .list(let items), .tuple(let items):
            return items.contains { TemplateValue.areEqual($0, item) }
        case .undefined: return false
        default: throw TemplateError(.type, "in \(container.kind)")
        }
    }
}
