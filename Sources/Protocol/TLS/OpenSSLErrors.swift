internal import COpenSSL
internal import Foundation

/// The thread's OpenSSL error queue: cleared before a call, drained after one that failed.
enum OpenSSLErrors {
    /// Forgets what earlier calls left.
    static func clear() {
        OpenSSLLibrary.load()
        ERR_clear_error()
    }

    /// Takes every error out of the queue, oldest first.
    static func drain() -> [OpenSSLError] {
        var errors: [OpenSSLError] = []
        while true {
            let code = ERR_get_error()
            guard code != 0 else { return errors }
            errors.append(OpenSSLError(code: code))
        }
    }

    /// The queue as one sentence part.
    static func drainedText() -> String {
        let errors = drain()
        let named = errors.filter { qat_error_refers_to_system($0.code) == 0 }
        let texts = (named.isEmpty ? errors : named).map(\.text)
        return texts.isEmpty ? "no reason given" : texts.joined(separator: "; ")
    }
}

/// One entry of the error queue.
struct OpenSSLError {
    let code: UInt

    /// OpenSSL's words for it; for a failed system call, which it has none for, the system's.
    var text: String {
        let number = qat_error_system_number(code)
        if number != 0 { return String(cString: strerror(number)) }
        if let reason = ERR_reason_error_string(code) { return String(cString: reason) }
        return "error \(code)"
    }

    /// What it means to whoever runs the suite, where that is clearer.
    func explanation(isServer: Bool) -> String? {
        guard qat_error_is_from_ssl(code) != 0 else { return nil }
        let peer = isServer ? "client" : "server"
        switch qat_error_reason(code) {
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return "peer presented no certificate"
        case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
            return "the \(peer) demands a certificate and none was presented"
        case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
            return "the \(peer) refused our certificate: signed by an unknown authority"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
            return "the \(peer) refused our certificate: it has expired"
        case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
            // OpenSSL's alert for a certificate that is not valid yet.
            return "the \(peer) refused our certificate: by its clock it is not valid yet, "
                + "or it is damaged"
        case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
            SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, SSL_R_TLSV1_ALERT_ACCESS_DENIED:
            return "the \(peer) refused our certificate (\(text))"
        case SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL, SSL_R_NO_APPLICATION_PROTOCOL:
            return "the \(peer) does not speak qatrpc/1"
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
            return "the \(peer) does not speak TLS 1.3"
        case SSL_R_WRONG_VERSION_NUMBER, SSL_R_HTTP_REQUEST, SSL_R_PACKET_LENGTH_TOO_LONG:
            return "the \(peer) does not speak TLS"
        default:
            return nil
        }
    }
}

/// The library's state in this process.
enum OpenSSLLibrary {
    private static let isLoaded =
        OPENSSL_init_crypto(UInt64(OPENSSL_INIT_NO_ATEXIT), nil) == 1

    /// Loads OpenSSL so that it stays until the process is gone; to be called before anything of it.
    ///
    /// Otherwise it frees its locks in `exit`, while event loops may still close connections.
    static func load() { _ = isLoaded }
}
