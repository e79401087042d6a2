extension InputReference {
    /// What helps somebody who wrote this where an input is meant; nil if nothing about the text says
    /// what went wrong.
    ///
    /// It goes by the text alone: a path that exists, and holds what it should, needs no advice.
    public static func advice(for text: String, role: Role) -> String? {
        if isURL(text) {
            return "nothing is fetched from the network; download it and write its path"
        }
        return switch role {
        case .model: modelAdvice(text)
        case .text: textAdvice(text)
        case .corpus: corpusAdvice(text)
        }
    }

    /// Whether the text has a scheme, as in `https://…`, `s3://…` and `hf://…`.
    static func isURL(_ text: String) -> Bool {
        guard let range = text.firstRange(of: "://") else {
            return false
        }
        let scheme = text[..<range.lowerBound]
        return !scheme.isEmpty && scheme.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber) }
    }

    private static func modelAdvice(_ text: String) -> String? {
        let formats: [(suffixes: [String], advice: String)] = [
            (
                [".bin", ".pt", ".pth", ".ckpt"],
                "PyTorch files are not read, since unpickling runs code from them; save the model "
                    + "with save_pretrained(folder, safe_serialization=True) and write the folder"
            ),
            (
                [".nemo"],
                "NeMo archives are not read; convert it to a Hugging Face folder with NeMo's "
                    + "convert_<model>_nemo_to_hf.py and write the folder"
            ),
            (
                [".safetensors", ".safetensors.index.json", "/config.json"],
                "write the folder that holds it beside config.json and tokenizer.json"
            ),
            (
                [".h5", ".msgpack", ".onnx", ".npz", ".tflite", ".engine", ".zip", ".tar", ".gz"],
                "expected a GGUF file or a Hugging Face folder with safetensors"
            ),
        ]
        let folded = text.lowercased()
        for format in formats where format.suffixes.contains(where: folded.hasSuffix) {
            return format.advice
        }
        guard isHubName(text) else {
            return nil
        }
        return "if it is a model of the Hugging Face hub, nothing is fetched from there; run "
            + "\"hf download \(text) --local-dir FOLDER\" and write the folder"
    }

    /// Whether the text looks like `meta-llama/Llama-3.2-1B`: an owner and a name.
    private static func isHubName(_ text: String) -> Bool {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count == 2
            && parts.allSatisfy { part in
                part.first.map { $0.isASCII && ($0.isLetter || $0.isNumber) } ?? false
                    && part.allSatisfy {
                        $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0))
                    }
            }
    }

    private static func textAdvice(_ text: String) -> String? {
        let folded = text.lowercased()
        if [".bin", ".idx"].contains(where: folded.hasSuffix) {
            return "of a Megatron corpus write the common prefix of .bin and .idx, with "
                + "\"data_impl\": \"mmap\""
        }
        let packed = [".parquet", ".arrow", ".zip", ".gz", ".zst", ".tar", ".npy"]
        return packed.contains(where: folded.hasSuffix)
            ? "expected UTF-8 text; unpack or export it first" : nil
    }

    private static func corpusAdvice(_ text: String) -> String? {
        [".bin", ".idx"].contains { text.hasSuffix($0) }
            ? "write the common prefix of .bin and .idx: \(text.dropLast(4))" : nil
    }
}
