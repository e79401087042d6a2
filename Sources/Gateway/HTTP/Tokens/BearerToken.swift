internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// A token that stands for a user, known by its digest: the file that holds it lets nobody in.
struct BearerToken: Sendable, Equatable {
    /// What its owner calls it.
    var name: String
    /// The SHA-256 of the token as it is sent.
    var digest: SHA256Digest
    /// Whom it speaks for.
    var user: String
    /// When it was made, in seconds since 1970.
    var created: Int64
    /// When it ends, likewise; nil for never.
    var expires: Int64?
    /// The only models that it may be used for; nil for all of the user's.
    var models: [String]?

    /// Whether its time is over.
    func isOver(at time: Int64) -> Bool { expires.map { $0 <= time } ?? false }

    /// Whether it may be used for a model.
    func admits(model: String) -> Bool { models?.contains(model) ?? true }

    /// How tokens begin, so that scanners for leaked secrets can tell them.
    static let prefix = "qat_"
    private static let secretByteCount = 32

    /// A token that nobody can guess: 256 random bits.
    static func secret() -> String {
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<secretByteCount).map { _ in
            UInt8.random(in: .min ... .max, using: &generator)
        }
        let text = Data(bytes).base64EncodedString()
        return prefix
            + text.replacingOccurrences(of: "+", with: "-").replacingOccurrences(of: "/", with: "_")
            .replacingOccurrences(of: "=", with: "")
    }

    /// What is kept of a token.
    static func digest(of secret: String) -> SHA256Digest { .digest(of: Array(secret.utf8)) }
}

/// The tokens that a gateway knows.
struct TokenList: Sendable, Equatable {
    var tokens: [BearerToken] = []

    /// Tokens of one file, at most.
    static let countLimit = 10_000
    private static let byteLimit = 8 << 20
    private static let keys = ["name", "sha256", "user", "created", "expires", "models"]

    init() {}

    /// The token that was sent, if it is one of these and its time is not over.
    ///
    /// Takes as long whichever it is: all digests are compared, and all their bytes.
    func token(_ secret: String, at time: Int64) -> BearerToken? {
        let asked = BearerToken.digest(of: secret).bytes
        var found: Int?
        for (index, token) in tokens.enumerated() {
            var difference: UInt8 = 0
            for (left, right) in zip(asked, token.digest.bytes) { difference |= left ^ right }
            if difference == 0 { found = index }
        }
        guard let found, !tokens[found].isOver(at: time) else { return nil }
        return tokens[found]
    }

    /// Reads the file's contents.
    ///
    /// - Throws: ``StoreError`` (`invalidArgument`) that names the entry and the key.
    init(json: [UInt8]) throws {
        let root: JSONValue
        do {
            root = try JSONParser.value(of: json, name: "the file", byteLimit: Self.byteLimit)
        } catch {
            throw Self.fault("a JSON object with tokens is expected: \(error)")
        }
        guard let object = root.objectValue, let entries = object["tokens"]?.arrayValue,
            object.count == 1
        else {
            throw Self.fault(#"{"tokens": [ … ]} is expected, and nothing beside it"#)
        }
        guard entries.count <= Self.countLimit else {
            throw Self.fault("\(entries.count) tokens; at most \(Self.countLimit)")
        }
        tokens = try entries.enumerated().map { try Self.token($1, "tokens[\($0)]") }
        var names: Set<String> = []
        for token in tokens where !names.insert(token.name).inserted {
            throw Self.fault("two tokens are called \(PlainText.quoted(token.name))")
        }
    }

    /// The file's contents.
    var json: [UInt8] {
        let entries = tokens.map { token -> JSONValue in
            var entry: [String: JSONValue] = [
                "name": .string(token.name), "sha256": .string(token.digest.hex),
                "user": .string(token.user), "created": .string(Self.text(token.created)),
            ]
            if let expires = token.expires { entry["expires"] = .string(Self.text(expires)) }
            if let models = token.models { entry["models"] = .array(models.map { .string($0) }) }
            return .object(entry)
        }
        // A token a line, for people who look at it.
        let lines = entries.map(\.canonicalText).joined(separator: ",\n")
        return Array("{\"tokens\": [\n\(lines)\n]}\n".utf8)
    }

    private static func token(_ value: JSONValue, _ place: String) throws -> BearerToken {
        guard let entry = value.objectValue else { throw fault("\(place) is no object") }
        if let odd = entry.keys.sorted().first(where: { !keys.contains($0) }) {
            throw fault(
                "\(place) has an unknown key \(PlainText.quoted(odd)); known are "
                    + keys.joined(separator: ", ")
            )
        }
        func text(_ key: String) throws -> String {
            guard let text = entry[key]?.stringValue else {
                throw fault("\(place).\(key) is missing, or no text")
            }
            return text
        }
        func time(_ key: String) throws -> Int64 {
            guard let time = seconds(try text(key)) else {
                throw fault("\(place).\(key) is no time such as 2030-01-31T12:00:00Z")
            }
            return time
        }
        guard let digest = SHA256Digest(hex: try text("sha256")) else {
            throw fault("\(place).sha256 is not 64 hexadecimal digits")
        }
        for key in ["name", "user"] where !PeerIdentity.isName(try text(key)) {
            throw fault("\(place).\(key) is not 1 to 128 letters, digits, -, _ and .")
        }
        let models = entry["models"]
        let names = models?.arrayValue?.compactMap(\.stringValue)
        guard models == nil || names != nil && names?.count == models?.arrayValue?.count else {
            throw fault("\(place).models is no list of models' names")
        }
        return BearerToken(
            name: try text("name"),
            digest: digest,
            user: try text("user"),
            created: try time("created"),
            expires: entry["expires"] == nil ? nil : try time("expires"),
            models: names
        )
    }

    /// A time as the file and lists write it.
    static func text(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: Double(seconds)).formatted(.iso8601)
    }

    private static func seconds(_ text: String) -> Int64? {
        (try? Date(text, strategy: .iso8601)).map { Int64($0.timeIntervalSince1970) }
    }

    private static func fault(_ message: String) -> StoreError {
        StoreError(.invalidArgument, message)
    }
}
