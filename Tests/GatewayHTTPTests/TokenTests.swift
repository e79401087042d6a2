internal import ArgumentParser
internal import Foundation
internal import Logging
internal import Testing

@testable internal import Gateway

/// Tokens: who they let in, the file that they are in, and the commands that make them.
struct TokenTests {
    private static func folder() throws -> String {
        let path = NSTemporaryDirectory() + "/qat-tokens-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    private static func place(_ folder: String) throws -> TokenPlace {
        try TokenPlace.parse(["--state", folder])
    }

    private static let quiet = Logger(label: "tokens", factory: { _ in SwiftLogNoOpLogHandler() })

    @Test func onlyKnownTokensLetIn() async throws {
        try await HTTPFixture.run(try EngineServing()) { fixture in
            func status(_ token: String?, _ path: String = "/v1/models") async throws -> Int {
                try await fixture.client.send("GET", path, token: token).status
            }
            #expect(try await status(HTTPFixture.token) == 200)
            #expect(try await status(nil) == 401)
            #expect(try await status("") == 401)
            #expect(try await status(HTTPFixture.token + "x") == 401)
            #expect(try await status(HTTPFixture.oldToken) == 401)
            // What a token is not for is not there.
            #expect(try await status(HTTPFixture.otherToken) == 200)
            #expect(try await status(HTTPFixture.otherToken, "/v1/models/tiny") == 404)
            let reply = try await fixture.client.send(
                "POST",
                "/generate",
                #"{"prompt": "a", "model": "tiny"}"#,
                token: HTTPFixture.otherToken
            )
            #expect(reply.status == 404)
            #expect(
                fixture.refusals.lines.contains(
                    "HTTP /v1/models 127.0.0.1 the token is unknown or over"
                )
            )
        }
    }

    @Test func changesOfTheFileAreSeen() async throws {
        try await HTTPFixture.run(NothingServed()) { fixture in
            func status(becomes expected: Int) async throws -> Bool {
                let end = ContinuousClock.now + .seconds(20)
                while ContinuousClock.now < end {
                    if try await fixture.client.send("GET", "/v1/models").status == expected {
                        return true
                    }
                    try await Task.sleep(for: .milliseconds(100))
                }
                return false
            }
            let path = fixture.folder + "/tokens.json"
            #expect(try await status(becomes: 200))
            try HTTPFixture.write(TokenList(), to: path)
            #expect(try await status(becomes: 401))
            try HTTPFixture.write(HTTPFixture.tokens, to: path)
            #expect(try await status(becomes: 200))
            try FileManager.default.removeItem(atPath: path)
            #expect(try await status(becomes: 401))
        }
    }

    @Test func whatIsWrongChangesNothing() throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/tokens.json"
        try HTTPFixture.write(HTTPFixture.tokens, to: path)
        let file = try TokenFile(path: path)
        #expect(file.count == 3)
        try Data("{".utf8).write(to: URL(fileURLWithPath: path))
        file.reload(Self.quiet)
        #expect(file.count == 3)
        try HTTPFixture.write(TokenList(), to: path, mode: 0o644)
        file.reload(Self.quiet)
        #expect(file.count == 3)
        let open = #expect(throws: StoreError.self) { try TokenFile(path: path) }
        #expect(
            open?.message == "tokens \(path): others can read it (mode 0644); chmod 600 \(path)"
        )
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"tokens": 1}"#, #"{"tokens": [1]}"#, #"{"tokens": [], "more": 1}"#,
        #"{"tokens": [{"name": "a"}]}"#,
        #"{"tokens": [{"name": "a", "user": "b", "sha256": "12", "created": "2030-01-31T12:00:00Z"}]}"#,
    ])
    func filesThatAreWrongAreRefused(text: String) {
        #expect(throws: StoreError.self) { try TokenList(json: Array(text.utf8)) }
    }

    @Test func filesSayWhatTheyWereMadeOf() throws {
        let list = HTTPFixture.tokens
        #expect(try TokenList(json: list.json) == list)
        // Nothing of a token itself.
        #expect(!String(decoding: list.json, as: UTF8.self).contains("qat_"))
    }

    @Test func commandsMakeAndRevoke() throws {
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let place = try Self.place(folder)
        let token = HTTPFixture.token("ci", "", user: "bob", models: ["m"])
        let secret = try place.create(token)
        #expect(secret.wholeMatch(of: /qat_[A-Za-z0-9_-]{43}/) != nil)
        #expect(try place.create(HTTPFixture.token("other", "")) != secret)
        let file = try TokenFile(path: folder + "/tokens.json")
        #expect(file.token(secret, at: 1_000_000_000)?.user == "bob")
        #expect(file.token(secret, at: 1_000_000_000)?.models == ["m"])
        #expect(throws: StoreError.self) { try place.create(token) }
        try place.revoke("ci")
        file.reload(Self.quiet)
        #expect(file.token(secret, at: 1_000_000_000) == nil)
        #expect(file.count == 1)
        #expect(throws: StoreError.self) { try place.revoke("ci") }
    }
}
