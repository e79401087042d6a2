/// What a program may use.
public struct SandboxLimits: Sendable, Hashable {
    /// Seconds of a processor.
    public var processorSeconds: Double
    /// Seconds by the clock, from the start of the preparation; also of a program that only sleeps.
    public var wallSeconds: Double
    /// Memory, counted as address space: what is mapped and never touched counts, too.
    public var memoryByteCount: Int
    /// All files of the scratch folder together, and each.
    public var scratchByteCount: Int
    /// Files in the scratch folder.
    public var scratchFileCount: Int
    /// Descriptors open at a time.
    public var openFileCount: Int
    /// Standard output and standard error, each; who writes more is ended.
    public var outputByteCount: Int

    /// Limits; the defaults are those of small functions and their tests.
    ///
    /// `wallSeconds`: Ten times `processorSeconds` by default, so that it makes no difference how busy the
    /// machine is.
    public init(
        processorSeconds: Double = 3,
        wallSeconds: Double? = nil,
        memoryByteCount: Int = 1 << 30,
        scratchByteCount: Int = 16 << 20,
        scratchFileCount: Int = 64,
        openFileCount: Int = 64,
        outputByteCount: Int = 1 << 20
    ) {
        self.processorSeconds = processorSeconds
        self.wallSeconds = wallSeconds ?? 10 * processorSeconds
        self.memoryByteCount = memoryByteCount
        self.scratchByteCount = scratchByteCount
        self.scratchFileCount = scratchFileCount
        self.openFileCount = openFileCount
        self.outputByteCount = outputByteCount
    }
}
