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
    /// - Throws: ``ClientError`` (`usage`) if there is none, it cannot be read, or it is malformed.
    static func load(
        _ home: QatHome,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> Profile {
        let data = try contents(home.profilePath)
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

    private static func contents(_ path: String) throws -> Data {
        do {
            return try Data(contentsOf: URL(filePath: path))
        } catch let error as CocoaError where error.code == .fileReadNoSuchFile {
            throw ClientError(
                .usage,
                "no gateway is known, for there is no profile at \(path); "
                    + "run \"qat-client local up\", or write one: "
                    + #"{"gateway": "HOST:PORT", "certificate": PATH, "key": PATH, "ca": PATH}"#
            )
        } catch {
            let reason = FileFault(error)?.reason ?? "\(error)"
            throw ClientError(.usage, "cannot read the profile \(path): \(reason)")
        }
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
