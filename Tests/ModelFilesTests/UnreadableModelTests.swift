internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

@Suite struct UnreadableModelTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func message(_ path: String) -> String {
        let error = #expect(throws: ModelFileError.self) { try ModelLoader.open(path: path) }
        return error?.message ?? ""
    }

    @Test(
        arguments: [
            ("pytorch_model.bin", [0x50, 0x4B, 3, 4], "safe_serialization=True"),
            ("old.pt", [0x80, 2, 0x7D], "safe_serialization=True"),
            ("model.zip", [0x50, 0x4B, 3, 4], "compressed archive"),
            ("m.nemo", [0x2E, 0x2F], "NeMo archives are not read"),
            ("m.onnx", [8, 7], "expected a GGUF file or a Hugging Face folder"),
            ("config.json", [0x7B, 0x7D], "take the folder"),
            ("x.gguf", [1, 2, 3, 4], "does not begin with GGUF"),
            ("e.gguf", [], "the file is empty"),
            ("l.gguf", Array("version https://git-lfs.github.com/spec/v1\n".utf8), "git lfs pull"),
            ("w.gguf", Array("\n<!DOCTYPE html><html>".utf8), "web page"),
        ] as [(String, [UInt8], String)]
    )
    func saysWhatAFileIsAndWhatToDo(_ name: String, _ bytes: [UInt8], _ part: String) throws {
        let text = message(try folder.write(bytes, name))
        #expect(text.contains(name) && text.contains(part), "\(text)")
    }

    @Test func saysWhatAFolderLacks() throws {
        #expect(message(folder.path + "/none").contains("no such file or folder"))
        #expect(message(folder.path).contains("holds no config.json"))
        _ = try folder.write([1], "a-q4.gguf")
        #expect(message(folder.path).contains("it holds a-q4.gguf: take that file"))
        let other = try TemporaryFolder()
        try RawCheckpoint(with: []).write(to: other)
        try FileManager.default.removeItem(atPath: other.path + "/model.safetensors")
        _ = try other.write([1], "pytorch_model.bin")
        let text = message(other.path)
        #expect(
            text.contains("no model.safetensors") && text.contains("pytorch_model.bin: PyTorch")
        )
    }

    @Test func tellsTooLongFromCutOffWeights() throws {
        let folder = try TemporaryFolder()
        try RawCheckpoint(with: []).write(to: folder)
        let path = folder.path + "/model.safetensors"
        let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
        _ = try folder.write(bytes + [1, 2, 3], "model.safetensors")
        let long = message(folder.path)
        #expect(long.contains("too long") && long.contains("3 more follow"), "\(long)")
        #expect(!long.contains("truncated"))
        _ = try folder.write(bytes.dropLast(4), "model.safetensors")
        let short = message(folder.path)
        #expect(short.contains("truncated: tensor model.") && !short.contains("too long"))
        _ = try folder.write(
            Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\n".utf8),
            "model.safetensors"
        )
        #expect(message(folder.path).contains("Git LFS pointer"))
    }

    @Test func skipsAByteOrderMarkInAModelsFiles() throws {
        let folder = try TemporaryFolder()
        try RawCheckpoint(with: [], ["special_tokens_map.json": "{}"]).write(to: folder)
        let plain = try ModelLoader.open(path: folder.path)
        let carried = try plain.files.files.mapValues { try $0.read() }
        #expect(carried.keys.sorted() == ["special_tokens_map.json", "tokenizer.json"])
        for name in ["config.json", "tokenizer.json"] {
            let file = URL(fileURLWithPath: "\(folder.path)/\(name)")
            _ = try folder.write([0xEF, 0xBB, 0xBF] + Array(Data(contentsOf: file)), name)
        }
        let marked = try ModelLoader.open(path: folder.path)
        #expect(marked.configuration == plain.configuration)
        #expect(try marked.tokenizer().vocabulary == plain.tokenizer().vocabulary)
        #expect(try marked.files.files.mapValues { try $0.read() } == carried)
        #expect(ModelLoader.markedFiles(of: folder.path) == ["config.json", "tokenizer.json"])
    }
}
