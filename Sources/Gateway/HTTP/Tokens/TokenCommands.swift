internal import ArgumentParser
internal import DurableFiles
internal import Foundation
internal import Jobs
internal import Protocol
internal import ServiceKit

extension GatewayDaemon {
    /// Makes, lists and revokes the tokens that callers over HTTP show.
    struct Tokens: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Makes, lists and revokes bearer tokens for the HTTP front.",
            discussion: """
                A token speaks for a user, as a certificate of theirs does over RPC. The file holds digests \
                alone: a token is shown once, when it is made. A gateway at work sees changes within a second. \
                Run it on the gateway's machine, as its user or as root.
                """,
            subcommands: [Create.self, List.self, Revoke.self]
        )

        struct Create: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Makes a token and prints it, which is the only time that it is seen."
            )
            @OptionGroup var place: TokenPlace
            @Option(help: "The user whom it speaks for, as in their certificate.")
            var user: String
            @Option(help: "What it is called: letters, digits, -, _ and .; unique.")
            var name: String
            @Option(help: "How long it is valid: 90d, 12h; for ever by default.")
            var validFor: String?
            @Option(help: "A model that it may be used for; may be given again. All by default.")
            var model: [String] = []

            func run() async throws {
                let made = try place.create(
                    BearerToken(
                        name: name,
                        digest: .zero,
                        user: user,
                        created: Int64(Date.now.timeIntervalSince1970),
                        expires: try validFor.map(TokenPlace.end),
                        models: model.isEmpty ? nil : model
                    )
                )
                print(made)
            }
        }

        struct List: AsyncParsableCommand {
            static let configuration = CommandConfiguration(abstract: "Lists the tokens.")
            @OptionGroup var place: TokenPlace

            func run() async throws {
                let now = Int64(Date.now.timeIntervalSince1970)
                for token in try place.read().tokens {
                    let end = token.expires.map { "ends \(TokenList.text($0))" } ?? "no end"
                    let models =
                        token.models.map { "for \($0.joined(separator: ", "))" } ?? "all models"
                    let state = token.isOver(at: now) ? "over" : "valid"
                    print(
                        "\(token.name)  \(token.user)  \(state)  made \(TokenList.text(token.created))  "
                            + "\(end)  \(models)"
                    )
                }
            }
        }

        struct Revoke: AsyncParsableCommand {
            static let configuration = CommandConfiguration(
                abstract: "Makes a token invalid for good."
            )
            @OptionGroup var place: TokenPlace
            @Argument(help: "What it is called.")
            var name: String

            func run() async throws {
                try place.revoke(name)
                print("revoked \(name)")
            }
        }
    }
}

/// Where the tokens are that a command is about.
struct TokenPlace: ParsableArguments, Sendable {
    @Option(help: "The gateway's state folder, which holds tokens.json. [QAT_STATE]")
    var state: String?
    @Option(help: "Another file of tokens. [QAT_HTTP_TOKENS]")
    var tokens: String?

    /// The file.
    ///
    /// - Throws: ``ServiceError`` (`invalidConfiguration`).
    var path: String {
        get throws {
            let environment = ProcessInfo.processInfo.environment.filter { !$0.value.isEmpty }
            if let path = tokens ?? (state == nil ? environment["QAT_HTTP_TOKENS"] : nil) {
                return path
            }
            guard let folder = state ?? environment["QAT_STATE"] else {
                throw ServiceError(
                    .invalidConfiguration,
                    "--state is missing; give the flag or QAT_STATE"
                )
            }
            guard FileManager.default.fileExists(atPath: folder) else {
                throw ServiceError(.inputOutput, "state folder \(folder): there is none")
            }
            return folder + "/tokens.json"
        }
    }

    /// When a token ends that is valid for a time from now.
    static func end(_ text: String) throws -> Int64 {
        let units: [Character: Int64] = ["d": 86_400, "h": 3_600]
        guard let unit = text.last, let factor = units[unit], let count = Int64(text.dropLast()),
            (1...36_500 * 24).contains(count)
        else {
            throw ServiceError(
                .invalidConfiguration,
                "--valid-for is \(PlainText.quoted(text)); a time such as 90d or 12h is needed"
            )
        }
        return Int64(Date.now.timeIntervalSince1970) + count * factor
    }

    /// The tokens; none without a file.
    func read() throws -> TokenList {
        let path = try path
        return FileManager.default.fileExists(atPath: path)
            ? try TokenFile.read(path) : TokenList()
    }

    /// Adds a token, whose digest is filled in; returns what is sent.
    func create(_ token: BearerToken) throws -> String {
        for (key, value) in [("name", token.name), ("user", token.user)]
        where !PeerIdentity.isName(value) {
            throw ServiceError(
                .invalidConfiguration,
                "--\(key) is \(PlainText.quoted(value)); 1 to 128 letters, digits, -, _ and . are needed"
            )
        }
        let secret = BearerToken.secret()
        var token = token
        token.digest = BearerToken.digest(of: secret)
        try change { list in
            guard !list.tokens.contains(where: { $0.name == token.name }) else {
                throw StoreError(.alreadyExists, "there is a token called \(token.name) already")
            }
            guard list.tokens.count < TokenList.countLimit else {
                throw StoreError(
                    .tooLarge,
                    "there are \(TokenList.countLimit) tokens already, which is the limit"
                )
            }
            list.tokens.append(token)
        }
        return secret
    }

    /// Removes a token.
    func revoke(_ name: String) throws {
        try change { list in
            guard let index = list.tokens.firstIndex(where: { $0.name == name }) else {
                throw StoreError(.notFound, "no token is called \(PlainText.quoted(name))")
            }
            list.tokens.remove(at: index)
        }
    }

    /// Changes the file, one process at a time.
    private func change(_ body: (inout TokenList) throws -> Void) throws {
        let path = try path
        let lock = open(path + ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard lock >= 0 else {
            throw StoreError(.unusable, "\(path).lock: \(String(cString: strerror(errno)))")
        }
        defer { close(lock) }
        while flock(lock, LOCK_EX) != 0, errno == EINTR {}
        var list = try read()
        try body(&list)
        do {
            try DurableFile.write(list.json, to: path, readers: .owner)
        } catch {
            throw StoreError(.outOfOrder, error.description)
        }
        // Root's own file would be one that the gateway cannot read.
        var folder = stat()
        if geteuid() == 0, stat((path as NSString).deletingLastPathComponent, &folder) == 0 {
            for file in [path, path + ".lock"] {
                guard chown(file, folder.st_uid, folder.st_gid) == 0 else {
                    throw StoreError(.unusable, "\(file): \(String(cString: strerror(errno)))")
                }
            }
        }
    }
}
