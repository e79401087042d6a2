internal import Foundation
internal import JobSpecs
internal import Protocol

/// Which gateway the client talks to, and as whom.
struct Profile: Sendable, Equatable {
    /// `host:port` of the gateway.
    var gateway: String
    /// The user's certificate, key, and the authorities it trusts.
    var certificatePath: String
    var privateKeyPath: String
    var trustRootsPath: String

    /// Reads the profile; `QAT_GATEWAY` replaces its gateway.
    ///
    /// - Throws: ``ClientError``: `unreachable` if there is none, `usage` if it is malformed.
    static func load(
        _ home: QatHome,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> Profile {
        guard let data = FileManager.default.contents(atPath: home.profilePath) else {
            throw ClientError(
                .unreachable,
                "no gateway is known, for there is no profile at \(home.profilePath); "
                    + "run \"qat-client local up\", or write one: "
                    + #"{"gateway": "HOST:PORT", "certificate": PATH, "key": PATH, "ca": PATH}"#
            )
        }
        let document: JSONValue
        do {
            document = try JSONParser.parse(Array(data)).value
        } catch {
            throw ClientError(.usage, error.lines(file: home.profilePath))
        }
        let text = { (key: String) throws(ClientError) -> String in
            guard let text = document[key]?.stringValue else {
                throw ClientError(
                    .usage,
                    "\(home.profilePath): $.\(key): missing; expected a string"
                )
            }
            return text
        }
        let path = { (key: String) throws(ClientError) -> String in
            URL(filePath: try text(key), relativeTo: URL(filePath: home.path + "/"))
                .path(percentEncoded: false)
        }
        let override = environment["QAT_GATEWAY"].flatMap { $0.isEmpty ? nil : $0 }
        return Profile(
            gateway: try override ?? text("gateway"),
            certificatePath: try path("certificate"),
            privateKeyPath: try path("key"),
            trustRootsPath: try path("ca")
        )
    }

    /// Writes the profile.
    func save(_ home: QatHome) throws {
        let document = JSONValue.object([
            "gateway": .string(gateway),
            "certificate": .string(certificatePath),
            "key": .string(privateKeyPath),
            "ca": .string(trustRootsPath),
        ])
        try home.create()
        try PrivateFiles.replace(home.profilePath, with: document.canonicalBytes + [0x0A])
    }

    var tls: TLSIdentityFiles {
        TLSIdentityFiles(
            certificatePath: certificatePath,
            privateKeyPath: privateKeyPath,
            trustRootsPath: trustRootsPath
        )
    }
}
