internal import Foundation

/// What a file or folder is that is no model as it is read, told by its bytes and names, and what to
/// do about it.
enum UnreadableModel {
    private static let pyTorch = """
        PyTorch files are not read, as unpickling runs code from them; save the model with \
        save_pretrained(folder, safe_serialization=True) and take that folder
        """
    private static let neMo = """
        NeMo archives are not read; convert the model to a Hugging Face folder with NeMo's \
        convert_<model>_nemo_to_hf.py and take that folder
        """

    /// The error about a path at which there is no model.
    static func error(_ path: String) -> ModelFileError {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            return ModelFileError(.inputOutput, "\(path): no such file or folder")
        }
        if isFolder.boolValue { return ModelFileError(.unsupported, folder(path)) }
        do {
            let file = try MappedFile(path: path)
            defer { withExtendedLifetime(file) {} }
            guard !file.bytes.isEmpty else {
                return ModelFileError(.malformed, "\(path): the file is empty")
            }
            return ModelFileError(.unsupported, "\(path): \(self.file(path, file.bytes))")
        } catch {
            return error
        }
    }

    /// Why weights are not what they should be, where something else stands in their file; nil if it
    /// may be weights.
    static func substitute(_ bytes: UnsafeRawBufferPointer) -> String? {
        if bytes.starts(with: "version https://git-lfs".utf8) {
            return """
                this is a Git LFS pointer, not the weights; fetch them in the folder's repository: \
                git lfs pull
                """
        }
        let start = String(decoding: bytes.prefix(256), as: UTF8.self).lowercased()
        let text = start.drop { $0.isWhitespace }
        return text.hasPrefix("<!doctype") || text.hasPrefix("<html")
            ? "this is a web page, not weights; the download went wrong" : nil
    }

    private static func file(_ path: String, _ bytes: UnsafeRawBufferPointer) -> String {
        if let substitute = substitute(bytes) { return substitute }
        let name = path.split(separator: "/").last.map { $0.lowercased() } ?? ""
        func isNamed(_ suffixes: String...) -> Bool { suffixes.contains { name.hasSuffix($0) } }
        func has(_ text: StaticString, at offset: Int = 0) -> Bool {
            bytes.dropFirst(offset).starts(with: text.description.utf8)
        }
        if isNamed(".nemo") || has("ustar", at: 257) {
            return isNamed(".nemo") ? neMo : "this is a tar archive; unpack it and take its folder"
        }
        let isPickle = bytes.count > 1 && bytes[0] == 0x80 && (2...5).contains(bytes[1])
        if isPickle || has("PK\u{3}\u{4}") && isNamed(".bin", ".pt", ".pth", ".ckpt") {
            return pyTorch
        }
        if has("PK\u{3}\u{4}") || bytes.starts(with: [0x1F, 0x8B]) {
            return "this is a compressed archive; unpack it and take the GGUF file or the folder"
        }
        if isSafetensors(bytes) {
            return """
                this is a safetensors file alone; take the folder that holds it beside config.json \
                and tokenizer.json
                """
        }
        if isNamed(".onnx", ".h5", ".msgpack", ".tflite", ".engine") {
            return "not a model that is read: expected a GGUF file or a Hugging Face folder"
        }
        if isNamed(".json") {
            return "this is JSON; take the folder that holds it beside the .safetensors files"
        }
        return """
            not a GGUF file (it does not begin with GGUF); expected a GGUF file or a Hugging Face \
            folder
            """
    }

    private static func isSafetensors(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard bytes.count > 9, bytes[8] == UInt8(ascii: "{") else { return false }
        let count = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        return count <= 100_000_000 && Int(count) <= bytes.count - 8
    }

    private static func folder(_ path: String) -> String {
        let names = ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted()
        let lack =
            names.contains("config.json")
            ? "the folder holds no model.safetensors and no model.safetensors.index.json"
            : "the folder holds no config.json, so it is no Hugging Face model"
        func first(_ suffixes: String...) -> String? {
            names.first { name in suffixes.contains { name.lowercased().hasSuffix($0) } }
        }
        let advice: String
        if let name = first(".gguf") {
            advice = "; it holds \(name): take that file"
        } else if names.contains("adapter_config.json") {
            advice = "; it holds an adapter: merge it into its base model and take that folder"
        } else if let name = first(".nemo") {
            advice = "; it holds \(name): \(neMo)"
        } else if let name = first(".bin", ".pt", ".pth", ".ckpt") {
            advice = "; it holds \(name): \(pyTorch)"
        } else if names.contains("config.json"), let name = first(".safetensors") {
            advice = "; it holds \(name): name it model.safetensors, or add the shards' index"
        } else {
            advice = ""
        }
        return "\(path): \(lack)\(advice)"
    }
}
