internal import Foundation
internal import Protocol

/// Lines about certificates that end soon.
enum CertificateNotes {
    /// Those of the suite, and the user's own.
    static func lines(_ status: StatusResponse, own: CertificateValidity?, at now: Date) -> [String]
    {
        var ends = [("gateway", status.certificateEndsUnixMs)]
        ends += status.services.map { ($0.instance, $0.certificateEndsUnixMs) }
        let suite = ends.compactMap { name, unixMs -> String? in
            guard unixMs > 0 else { return nil }
            let validity = CertificateValidity(
                path: name,
                begins: .distantPast,
                ends: Date(timeIntervalSince1970: Double(unixMs) / 1000)
            )
            return line("a certificate of \(name)", validity, at: now)
        }
        return suite
            + [own.flatMap { line("your certificate \($0.path)", $0, at: now) }]
            .compactMap(\.self)
    }

    private static func line(
        _ what: String,
        _ validity: CertificateValidity,
        at now: Date
    ) -> String? {
        validity.warning(at: now).map { _ in
            "warning: \(what) \(validity.sentence(at: now)): renew it (qat-client certs issue --force)"
        }
    }
}
