internal import AsyncAlgorithms
internal import Foundation
internal import Jobs
public import Logging
internal import Protocol
public import ServiceLifecycle
internal import UnixSignals

/// Warns in the log 30, 7 and 1 days before a certificate in use ends.
///
/// Files are read again for that every hour and at SIGHUP, which does nothing else: what TLS uses stays
/// until the daemon is started anew.
public struct CertificateWatch: Service {
    private let files: TLSIdentityFiles
    /// What the certificate has to name when the daemon is started anew.
    private let role: String?
    private let instance: String?
    private let logger: Logger

    /// Watches the files of a daemon.
    public init(configuration: DaemonConfiguration, logger: Logger) {
        self.init(
            files: configuration.tls,
            role: configuration.role.rawValue,
            instance: configuration.certificateInstance,
            logger: logger
        )
    }

    init(files: TLSIdentityFiles, role: String? = nil, instance: String? = nil, logger: Logger) {
        self.files = files
        self.role = role
        self.instance = instance
        self.logger = logger
    }

    /// Watches until a graceful shutdown.
    public func run() async throws {
        let hangups = await UnixSignalsSequence(trapping: .sighup)
        await cancelWhenGracefulShutdown {
            var told = look([:])
            let ticks = AsyncTimerSequence(interval: .seconds(3_600), clock: .continuous)
            for await isHangup in merge(ticks.map { _ in false }, hangups.map { _ in true }) {
                if isHangup {
                    logger.notice(
                        """
                        SIGHUP: certificates are looked at; new ones take a restart, the policy file \
                        is read again by itself
                        """
                    )
                    told = [:]
                }
                told = look(told)
            }
        }
    }

    /// Looks at all certificates once; what was told already is not told again.
    ///
    /// - Returns: What has been told now, by file: the smallest of the days.
    func look(_ told: [String: Int], at now: Date = .now) -> [String: Int] {
        var told = told
        do {
            if let role { try files.checkService(role: role, instance: instance, at: now) }
            for validity in try files.check(at: now) {
                guard let days = validity.warning(at: now), days < told[validity.path] ?? .max
                else { continue }
                told[validity.path] = days
                logger.warning("certificate \(validity.path) \(validity.sentence(at: now))")
            }
        } catch let error as RPCError {
            logger.error("certificates: \(error.message)")
        } catch {
            logger.error("certificates: \(FileFault.text(of: error))")
        }
        return told
    }
}
