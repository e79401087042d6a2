/// Memory of operations, which grows to the largest that was asked for and stays.
public struct Scratch<Element: BitwiseCopyable> {
    private var buffer = AlignedBuffer<Element>(count: 0)

    /// Memory of nothing yet.
    public init() {}

    /// At least `count` elements, of any content; valid until the next call.
    public mutating func reserve(_ count: Int) -> UnsafeMutablePointer<Element> {
        // By half as much again: a cache that grows by a token at a time asks for a little more each time.
        if buffer.count < count { buffer = AlignedBuffer(count: max(count, buffer.count * 3 / 2)) }
        return buffer.pointer
    }
}
