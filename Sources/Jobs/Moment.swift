/// One instant on two clocks.
///
/// What people read is dated by the wall clock, which may jump; what ends leases is counted by a
/// clock that never does.
public struct Moment: Sendable, Hashable {
    /// The wall clock in Unix milliseconds.
    public var unix: Int64
    /// Milliseconds since some instant of this process's life, never going back.
    public var uptime: Int64

    /// An instant of its two readings.
    public init(unix: Int64, uptime: Int64) {
        self.unix = unix
        self.uptime = uptime
    }
}
