/// How a program ended.
public struct SandboxOutcome: Sendable, Equatable {
    /// Its end.
    public enum Ending: Sendable, Equatable {
        /// By itself, with a status.
        case exited(Int32)
        /// By a signal that nobody here sent: a fault, or its own.
        case signaled(Int32)
        /// It used up its time of the processor.
        case usedUpProcessorTime
        /// It took too long by the clock.
        case tookTooLong
        /// It wrote too much to standard output or standard error.
        case wroteTooMuch
        /// It filled its scratch folder, where that lies on a disk.
        case filledScratch

        /// The end in a few words.
        public var words: String {
            switch self {
            case .exited(let status): "exited with status \(status)"
            case .signaled(let number): "ended by signal \(number)"
            case .usedUpProcessorTime: "used up its processor time"
            case .tookTooLong: "took too long"
            case .wroteTooMuch: "wrote too much"
            case .filledScratch: "filled its scratch folder"
            }
        }
    }

    /// Its end.
    public let ending: Ending
    /// What it wrote to standard output; at most as much as allowed.
    public let output: [UInt8]
    /// What it wrote to standard error; at most as much as allowed.
    public let errors: [UInt8]
    /// Seconds by the clock, preparation included.
    public let wallSeconds: Double
    /// Seconds of a processor.
    public let processorSeconds: Double
    /// The most memory that it had resident.
    public let peakByteCount: Int
}
