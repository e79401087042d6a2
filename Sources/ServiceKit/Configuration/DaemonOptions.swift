public import ArgumentParser

/// The flags that every daemon takes.
///
/// A flag overrides the environment, which overrides the file.
public struct DaemonOptions: ParsableArguments, Sendable {
    /// Path of a JSON configuration file.
    @Option(
        help: "A JSON file with any of these settings; keys are the flags without leading dashes."
    )
    public var config: String?
    /// Where to listen.
    @Option(help: "HOST:PORT to listen on; port 0 takes a free one. [QAT_LISTEN]")
    public var listen: String?
    /// Where the gateway is.
    @Option(help: "HOST:PORT of the gateway; workers need it. [QAT_GATEWAY]")
    public var gateway: String?
    /// The state folder.
    @Option(help: "Folder of the daemon's state, used by one process at a time. [QAT_STATE]")
    public var state: String?
    /// The certificate.
    @Option(help: "PEM file of the daemon's certificate chain. [QAT_CERT]")
    public var cert: String?
    /// The private key.
    @Option(help: "PEM file of the certificate's private key. [QAT_KEY]")
    public var key: String?
    /// The certificate authorities.
    @Option(help: "PEM file of the certificate authorities to trust. [QAT_CA]")
    public var ca: String?
    /// The instance's name.
    @Option(help: "Name of this instance, unique per role. [QAT_INSTANCE]")
    public var instance: String?
    /// Threads to compute with.
    @Option(help: "Threads to compute with; all processors by default. [QAT_THREADS]")
    public var threads: String?
    /// Seconds of silence after which a compute child is ended.
    @Option(
        help: """
            Workers: seconds a job's process may tell and compute nothing before it is ended as \
            hung, 60 to 604800; 1800 by default. [QAT_STALL_LIMIT]
            """
    )
    public var stallLimit: String?
    /// The least level that is logged.
    @Option(help: "trace, debug, info, notice, warning or error. [QAT_LOG_LEVEL]")
    public var logLevel: String?
    /// How log lines look.
    @Option(help: "text or json; text on a terminal by default. [QAT_LOG_FORMAT]")
    public var logFormat: String?

    /// Options without values.
    public init() {}
}
