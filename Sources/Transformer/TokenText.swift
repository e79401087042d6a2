/// Tokens in an order, in memory or in files, which are read as they are asked for.
public protocol TokenText: Sendable {
    /// How many there are.
    var count: Int { get }

    /// Copies the tokens of a range, within `0 ..< count`.
    ///
    /// - Throws: What reading throws.
    func copy(_ range: Range<Int>, to target: UnsafeMutablePointer<Int32>) throws
}

extension [Int32]: TokenText {
    /// Copies the elements of a range, within `0 ..< count`.
    public func copy(_ range: Range<Int>, to target: UnsafeMutablePointer<Int32>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= count, "copy: \(range)")
        withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return }
            target.update(from: start + range.lowerBound, count: range.count)
        }
    }
}
