internal import Protocol
internal import Synchronization
internal import Testing

@testable internal import ServiceKit

/// What a job finds behind an input: a file, or a model's folder.
struct InputLocationTests {
    @Test func oneFileIsAFileWhateverItIsCalled() {
        // Seen: a text called config.json was taken for a model's folder, and the job failed.
        for name in ["config.json", "txt/config.json", "m.gguf", "a/b/corpus.jsonl"] {
            #expect(InputStore.location(of: [name], root: "/r") == "/r/" + name)
        }
    }

    @Test func severalFilesAreTheFolderOfTheirConfiguration() {
        #expect(InputStore.location(of: ["config.json", "model.safetensors"], root: "/r") == "/r")
        #expect(
            InputStore.location(of: ["model/a", "model/config.json", "x"], root: "/r")
                == "/r/model"
        )
        #expect(InputStore.location(of: ["a-1.gguf", "a-2.gguf"], root: "/r") == "/r")
        #expect(InputStore.location(of: [], root: "/r") == "/r")
        // A model may bring another's along, as `original/` or an adapter's base.
        #expect(
            InputStore.location(
                of: ["model/base/config.json", "model/config.json", "model/model.safetensors"],
                root: "/r"
            ) == "/r/model"
        )
    }

    @Test func aTextCalledConfigurationIsReadByItsChild() async throws {
        let gateway = try LeaseGateway()
        let digest = SHA256Digest.of("{\"text\": \"words\"}")
        gateway.state.withLock { $0.blobs[digest] = Array("{\"text\": \"words\"}".utf8) }
        let file = InputFile(path: "config.json", digest: digest, size: 17)
        let input = Input(pointer: "/tasks/0/text", source: "txt/config.json", files: [file])
        // The request's JSON escapes slashes.
        let script = """
            case "$request" in
            *inputs*0*config.json*) printf '{"type":"result","json":"{}"}\\n' ;;
            *) exit 1 ;;
            esac
            """
        #expect(try await gateway.run(script, inputs: [input]) == .reported(isDone: true))
    }
}
