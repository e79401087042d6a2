internal import Foundation
internal import Testing

@testable internal import Protocol

/// What is said of a file that cannot be used.
///
/// The words are those of POSIX's `strerror`.
struct OpenSSLErrorsTests {
    let authority: TestAuthority

    init() throws { authority = try TestAuthority() }

    /// The message when `key` is the private key's file, and `certificate` the certificate's.
    private func refusal(certificate: String? = nil, key: String? = nil) throws -> String {
        var files = try authority.service("train")
        files.certificatePath = certificate ?? files.certificatePath
        files.privateKeyPath = key ?? files.privateKeyPath
        do {
            _ = try TLSContext(files, isServer: true)
        } catch let error as RPCError {
            return error.message
        }
        return "no error"
    }

    @Test func aFileThatTheSystemRefusesIsNamedWithItsReason() throws {
        let loop = "\(authority.folder)/loop.key"
        try FileManager.default.createSymbolicLink(atPath: loop, withDestinationPath: loop)
        #expect(
            try refusal(key: loop) == "the private key \(loop): Too many levels of symbolic links"
        )
        let within = "\(authority.folder)/ca.pem/some.key"
        #expect(try refusal(key: within) == "the private key \(within): Not a directory")
    }

    /// Seen: "sslv3 alert bad certificate", of a gateway whose clock was two hours behind.
    ///
    /// RFC 8446 numbers the alert bad_certificate 42; OpenSSL's reason is 1000 more, of library 20 (ssl.h,
    /// err.h); it sends that one for X509_V_ERR_CERT_NOT_YET_VALID.
    @Test func aCertificateThatIsNotValidYetIsCalledSo() {
        let error = OpenSSLError(code: 20 << 23 | 1042)
        let sentence = "refused our certificate: by its clock it is not valid yet, or it is damaged"
        #expect(error.explanation(isServer: false) == "the server " + sentence)
        #expect(error.explanation(isServer: true) == "the client " + sentence)
    }

    /// Bit 31 marks a system's error, says OpenSSL 3's header, and the bits below are its number.
    ///
    /// 13 is EACCES on Linux; tests may run as root, whom no mode refuses.
    @Test func anUnreadableFileIsCalledSo() {
        #expect(OpenSSLError(code: 0x8000_000D).text == "Permission denied")
    }
}
