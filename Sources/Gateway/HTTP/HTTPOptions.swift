internal import ArgumentParser
internal import Jobs
internal import Protocol
internal import ServiceKit

/// The gateway's settings of its HTTP front; flags override the environment, which overrides the file.
struct HTTPOptions: ParsableArguments, Sendable {
    @Option(
        help: """
            HOST:PORT to answer HTTP on, for served models and metrics; not at all by default. \
            [QAT_HTTP_LISTEN]
            """
    )
    var httpListen: String?
    @Option(
        help: """
            on: HTTPS by TLS 1.3; off: plain HTTP, on a loopback address alone; insecure: plain HTTP on any \
            address, behind a proxy that ends TLS. on by default. [QAT_HTTP_TLS]
            """
    )
    var httpTls: String?
    @Option(
        help: """
            PEM file of the certificate chain that HTTPS shows; --cert's by default. \
            [QAT_HTTP_CERTIFICATE]
            """
    )
    var httpCertificate: String?
    @Option(help: "PEM file of its private key; --key's by default. [QAT_HTTP_KEY]")
    var httpKey: String?
    @Option(
        help: """
            JSON file of bearer tokens, as qat-gateway tokens makes it; tokens.json in the state folder \
            by default. [QAT_HTTP_TOKENS]
            """
    )
    var httpTokens: String?
    @Option(help: "Size of a request's body, at most: 1M by default. [QAT_HTTP_MAX_BODY]")
    var httpMaxBody: String?
    @Option(
        help: "Connections at once; further ones wait. 1024 by default. [QAT_HTTP_MAX_CONNECTIONS]"
    )
    var httpMaxConnections: String?
    @Option(
        help: "Requests to models at once; 512 by default. [QAT_HTTP_MAX_REQUESTS]"
    )
    var httpMaxRequests: String?
    @Option(
        help: """
            Requests to models at once of one user; 128 by default. [QAT_HTTP_MAX_USER_REQUESTS]
            """
    )
    var httpMaxUserRequests: String?
    @Option(
        help: "Seconds for a request to come in; 30 by default. [QAT_HTTP_READ_SECONDS]"
    )
    var httpReadSeconds: String?
    @Option(
        help: """
            Seconds until a connection without a request is closed; 75 by default. \
            [QAT_HTTP_IDLE_SECONDS]
            """
    )
    var httpIdleSeconds: String?
    @Option(
        help: "Seconds for an answer to be written; 1800 by default. [QAT_HTTP_ANSWER_SECONDS]"
    )
    var httpAnswerSeconds: String?

    /// The settings' keys in a file, as the flags are called.
    static let keys = [
        "http-listen", "http-tls", "http-certificate", "http-key", "http-tokens", "http-max-body",
        "http-max-connections", "http-max-requests", "http-max-user-requests", "http-read-seconds",
        "http-idle-seconds", "http-answer-seconds",
    ]

    private var flags: [String: String?] {
        [
            "http-listen": httpListen, "http-tls": httpTls, "http-certificate": httpCertificate,
            "http-key": httpKey, "http-tokens": httpTokens, "http-max-body": httpMaxBody,
            "http-max-connections": httpMaxConnections, "http-max-requests": httpMaxRequests,
            "http-max-user-requests": httpMaxUserRequests, "http-read-seconds": httpReadSeconds,
            "http-idle-seconds": httpIdleSeconds, "http-answer-seconds": httpAnswerSeconds,
        ]
    }

    /// The settings in force; nil if the gateway is not to speak HTTP.
    ///
    /// - Throws: ``ServiceError`` (`invalidConfiguration`), naming the setting: what is set without
    ///   `http-listen` too, since nothing would come of it.
    func settings(of daemon: DaemonConfiguration) throws -> HTTPSettings? {
        var texts = daemon.own.filter { Self.keys.contains($0.key) }
        for (key, flag) in flags { if let flag { texts[key] = flag } }
        guard let listen = texts["http-listen"] else {
            if let key = texts.keys.sorted().first {
                throw Self.fault("--\(key) is set, and --http-listen is not: nothing answers HTTP")
            }
            return nil
        }
        let address: ServerAddress
        do {
            address = try ServerAddress(parsing: listen)
        } catch {
            throw Self.fault("--http-listen is \(PlainText.quoted(listen)); HOST:PORT is needed")
        }
        var settings = HTTPSettings(
            address: address,
            security: try Self.security(texts, address, daemon.tls),
            tokensPath: texts["http-tokens"] ?? daemon.stateFolder + "/tokens.json",
            trustDomain: try PeerIdentity(certificatePath: daemon.tls.certificatePath).trustDomain
        )
        settings.limits = try Self.limits(texts)
        settings.sharesCertificate = texts["http-certificate"] == nil
        return settings
    }

    private static func security(
        _ texts: [String: String],
        _ address: ServerAddress,
        _ own: TLSIdentityFiles
    ) throws -> HTTPSettings.Security {
        let mode = texts["http-tls"] ?? "on"
        let (certificate, key) = (texts["http-certificate"], texts["http-key"])
        guard (certificate == nil) == (key == nil) else {
            throw fault("--http-certificate and --http-key go together: one is missing")
        }
        switch mode {
        case "on":
            return .tls(
                certificatePath: certificate ?? own.certificatePath,
                privateKeyPath: key ?? own.privateKeyPath
            )
        case "off", "insecure":
            guard certificate == nil else {
                throw fault("--http-certificate is set, and --http-tls is \(mode)")
            }
            guard mode == "insecure" || isLoopback(address.host) else {
                throw fault(
                    "--http-tls is off, and --http-listen is \(address), which other machines reach: tokens "
                        + "and texts would cross the network in plain sight; say --http-tls insecure if a "
                        + "proxy before it ends TLS"
                )
            }
            return .plain
        default:
            throw fault(
                "--http-tls is \(PlainText.quoted(mode)); on, off or insecure is needed"
            )
        }
    }

    /// Whether only this machine reaches a host's address: names but `localhost` may mean any.
    static func isLoopback(_ host: String) -> Bool {
        if host == "localhost" || host == "::1" { return true }
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    private static func limits(_ texts: [String: String]) throws -> HTTPSettings.Limits {
        var limits = HTTPSettings.Limits()
        func number(_ key: String, _ range: ClosedRange<Int>) throws -> Int? {
            guard let text = texts[key] else { return nil }
            guard let value = Int(text), range.contains(value) else {
                throw fault(
                    "--\(key) is \(PlainText.quoted(text)); a number from \(range.lowerBound) to "
                        + "\(range.upperBound) is needed"
                )
            }
            return value
        }
        func seconds(_ key: String, _ range: ClosedRange<Int>) throws -> Duration? {
            try number(key, range).map { .seconds($0) }
        }
        limits.connections = try number("http-max-connections", 1...65_536) ?? limits.connections
        limits.requests = try number("http-max-requests", 1...65_536) ?? limits.requests
        limits.userRequests =
            try number("http-max-user-requests", 1...65_536) ?? limits.userRequests
        limits.readTime = try seconds("http-read-seconds", 1...3600) ?? limits.readTime
        limits.idleTime = try seconds("http-idle-seconds", 1...3600) ?? limits.idleTime
        limits.answerTime = try seconds("http-answer-seconds", 1...86_400) ?? limits.answerTime
        if let text = texts["http-max-body"] {
            guard let unit = text.last, let factor = ["K": 1 << 10, "M": 1 << 20][unit],
                let count = Int(text.dropLast()), (1...65_536).contains(count),
                (1 << 10...64 << 20).contains(count * factor)
            else {
                throw fault(
                    "--http-max-body is \(PlainText.quoted(text)); a size from 1K to 64M is needed"
                )
            }
            limits.bodyBytes = count * factor
        }
        return limits
    }

    private static func fault(_ message: String) -> ServiceError {
        ServiceError(.invalidConfiguration, message)
    }
}
