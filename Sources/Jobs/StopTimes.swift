/// How long the parts of the suite may take to end when they are told to, in seconds.
///
/// Whoever stops them waits as long: service units, compose.yaml, `qat-client local down`, and the table in
/// docs/OPERATIONS.md.
public enum StopTimes {
    /// A compute child's last checkpoint: one of a large model is several gigabytes.
    public static let childGrace: Int64 = 120
    /// Texts that a replica writes when it is told to end, within the time of a compute child.
    public static let drain: Int64 = 90
    /// A worker's last words, and the outputs or checkpoints that go before them, once its child is over.
    public static let lastReport: Int64 = 45
    /// A worker in all: the two, and ten seconds for a connection that does not come about.
    public static let worker: Int64 = 180
    /// A gateway, which ends the calls that are open.
    public static let gateway: Int64 = 30
}
