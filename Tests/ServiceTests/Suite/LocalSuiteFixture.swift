internal import Foundation
internal import Kernels
internal import TestProgram
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// A real suite on loopback in a temporary folder, driven by the real client: the built programs,
/// TLS, SQLite, files, a tiny random model.
final class LocalSuiteFixture: Sendable {
    let folder: String
    private let programs: String

    init() throws {
        folder = NSTemporaryDirectory() + "/qat-suite-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        programs = try Self.programFolder()
    }

    /// The folder of the built programs: scripts/test names it; otherwise that of the test bundle.
    static func programFolder() throws -> String {
        let named = ProcessInfo.processInfo.environment["QAT_TEST_BIN"]
        let beside = Bundle.main.bundleURL.path
        let bundle = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().path
        let found = [named, beside, bundle].compactMap { $0 }.first {
            FileManager.default.isExecutableFile(atPath: $0 + "/qat-client")
        }
        return try #require(found, "qat-client is not built; run scripts/test")
    }

    /// What a client of this suite has in its environment.
    var environment: [String: String?] { ["QAT_HOME": folder + "/home", "QAT_GATEWAY": nil] }

    /// Runs the client and returns its exit status and output.
    @discardableResult
    func client(_ arguments: String...) throws -> (status: Int32, output: String, errors: String) {
        try client(arguments)
    }

    /// The same with arguments that are a list already.
    func client(_ arguments: [String]) throws -> (status: Int32, output: String, errors: String) {
        let outcome = try TestProgram.run(
            programs + "/qat-client",
            arguments,
            environment: environment
        )
        return (outcome.status, outcome.output, outcome.errors)
    }

    /// Follows a job's events until one is as asked; returns false if the job ends before.
    func awaitEvent(of job: String, _ isAsked: ([String: Any]) -> Bool) throws -> Bool {
        let pipe = Pipe()
        let watch = try TestProgram(
            programs + "/qat-client",
            ["watch", job, "--json"],
            environment: environment,
            output: .descriptor(pipe.fileHandleForWriting.fileDescriptor)
        )
        try pipe.fileHandleForWriting.close()
        defer {
            watch.signal(SIGTERM)
            watch.wait()
        }
        var rest = Data()
        // Empty at the end: the client has left.
        while case let data = pipe.fileHandleForReading.availableData, !data.isEmpty {
            rest.append(data)
            while let end = rest.firstIndex(of: UInt8(ascii: "\n")) {
                let line = rest[rest.startIndex..<end]
                rest = rest[(end + 1)...]
                if let event = try JSONSerialization.jsonObject(with: line) as? [String: Any],
                    isAsked(event)
                {
                    return true
                }
            }
        }
        return false
    }

    /// The JSON object that a client call prints.
    func json(_ text: String) throws -> [String: Any] {
        let line = try #require(text.split(separator: "\n").last)
        let value = try JSONSerialization.jsonObject(with: Data(line.utf8))
        return try #require(value as? [String: Any])
    }

    func up() throws {
        let port = try Self.freePort()
        let result = try client("local", "up", "--detach", "--port", "\(port)")
        try #require(result.status == 0, "\(result.output)\(result.errors)")
    }

    func down() {
        _ = try? client("local", "down")
        try? FileManager.default.removeItem(atPath: folder)
    }

    /// The process id of the daemon in a role.
    func processID(_ role: String) throws -> Int32 {
        let status = try json(try client("local", "status", "--json").output)
        let daemons = try #require(status["daemons"] as? [[String: Any]])
        let found = try #require(daemons.first { $0["role"] as? String == role })
        return Int32(try #require(found["pid"] as? Int))
    }

    /// A tiny random model, its tokenizer of single bytes, and two texts.
    func writeInputs() throws {
        let characters = (UInt32(0)...255).map { byte -> String in
            let isPrintable =
                (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || byte >= 0xAE
            return isPrintable ? String(UnicodeScalar(UInt8(byte))) : ""
        }
        var next: UInt32 = 256
        let vocabulary = try characters.map { character -> String in
            guard character.isEmpty else {
                return character
            }
            defer { next += 1 }
            return String(try #require(UnicodeScalar(next)))
        }
        let tokenizer = try Tokenizer(
            vocabulary: vocabulary,
            merges: [],
            addedTokens: [],
            preTokenizer: .gpt2
        )
        let configuration = ModelConfiguration(
            vocabularySize: 256,
            hiddenSize: 64,
            intermediateSize: 96,
            layerCount: 2,
            headCount: 4,
            keyValueHeadCount: 2,
            tiedEmbeddings: true
        )
        let model = LoadedModel(
            parameters: try Parameters.random(
                configuration: configuration,
                seed: 4,
                deviation: 0.3
            ),
            tokenizer: tokenizer,
            source: .huggingFace,
            storedByteCount: 0,
            tokenizerJSON: nil,
            chatTemplate: nil
        )
        let plain = QuantizedModel(model: model, stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .f32, folder: folder + "/model")
        )
        let text = (0..<400).map { "line \($0): the quick brown fox jumps over \($0 * 7 % 13)\n" }
        try write(text.joined(), "train.txt")
        try write(text.reversed().joined(), "validation.txt")
    }

    func write(_ text: String, _ name: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder + "/" + name))
    }

    /// A port that was free a moment ago; the client wants a number, not 0.
    static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 ? getsockname(descriptor, $0, &length) : -1
            }
        }
        try #require(status == 0)
        return UInt16(bigEndian: address.sin_port)
    }
}
