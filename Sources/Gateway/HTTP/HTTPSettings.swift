internal import Jobs
internal import Protocol
internal import ServiceKit

/// How the gateway speaks HTTP.
struct HTTPSettings: Sendable {
    /// How what is said stays secret.
    enum Security: Sendable {
        /// TLS 1.3, with this certificate.
        case tls(certificatePath: String, privateKeyPath: String)
        /// Nothing: to callers on the same machine, or those that a proxy before it vouches for.
        case plain
    }

    /// What requests may take.
    struct Limits: Sendable {
        /// Bytes of a request's body.
        var bodyBytes = 1 << 20
        /// Bytes of a request's line and headers; of one header half as many.
        var headerBytes = 64 << 10
        /// Connections; further ones wait to be accepted.
        var connections = 1024
        /// Requests to models at once.
        var requests = 512
        /// Likewise, of one user.
        var userRequests = 128
        /// From a request's first line to the end of its body.
        var readTime = Duration.seconds(30)
        /// Until a connection without a request is closed.
        var idleTime = Duration.seconds(75)
        /// From a request's end to the end of its answer.
        var answerTime = Duration.seconds(1800)
        /// How long answers may go on when the gateway stops.
        var drainTime = Duration.seconds(5)
    }

    /// Where it listens.
    var address: ServerAddress
    var security: Security
    /// The file of bearer tokens.
    var tokensPath: String
    /// Whose users tokens speak for.
    var trustDomain: String
    var limits = Limits()
    /// Whether its certificate is that of the daemon's calls.
    var sharesCertificate = false
}
