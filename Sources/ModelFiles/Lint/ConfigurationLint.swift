internal import Foundation
internal import Transformer

/// Checks config.json's keys and that the tokenizer fits the model.
struct ConfigurationLint {
    private static let file = "config.json"

    private let folder: CheckpointFolder

    init(_ folder: CheckpointFolder) {
        self.folder = folder
    }

    func lint(_ log: inout LintLog) {
        lintKeys(&log)
        lintTokenizer(&log)
        if folder.model.tiedEmbeddings, folder.tensors[HeadTensors.name] != nil {
            log.warning(
                HeadTensors.name,
                "stands beside tie_word_embeddings true; servers use the embedding: drop one"
            )
        }
    }

    private func lintKeys(_ log: inout LintLog) {
        let root = folder.root
        guard let family = ModelFamilies.named(folder.model.architecture.family) else { return }
        let traits = family.huggingFace
        if root["architectures"] as? [String] != [traits.className] {
            log.error(Self.file, "architectures is not [\"\(traits.className)\"]; set it")
        }
        if root["model_type"] as? String != traits.modelType {
            log.error(Self.file, "model_type is not \"\(traits.modelType)\"")
        }
        // Readers have defaults for these, and not all the same.
        let usual = [
            traits.normEpsilonKey, "max_position_embeddings", "tie_word_embeddings",
            traits.activationKey,
        ]
        for key in usual where root[key] == nil {
            log.warning(Self.file, "\(key) is missing; readers' defaults differ")
        }
        if root["rope_theta"] == nil, root["rope_parameters"] == nil {
            let theta = Int(exactly: traits.theta).map(String.init) ?? "\(traits.theta)"
            log.warning(Self.file, "rope_theta is missing; Transformers takes \(theta)")
        }
        if root["torch_dtype"] == nil, root["dtype"] == nil {
            log.warning(Self.file, "torch_dtype is missing; readers may load in FP32")
        }
    }

    private func lintTokenizer(_ log: inout LintLog) {
        let name = "tokenizer.json"
        let path = "\(folder.path)/\(name)"
        guard FileSystem.exists(path) else { return }
        do {
            let bytes = try FileSystem.read(path, limit: 256 << 20)
            let tokenizer = try Tokenizer(tokenizerJSON: bytes, path: path)
            if tokenizer.vocabularySize > folder.model.vocabularySize {
                log.error(
                    name,
                    """
                    has \(tokenizer.vocabularySize) tokens, vocab_size in config.json is \
                    \(folder.model.vocabularySize)
                    """
                )
            }
        } catch {
            // Other readers may know what this one does not.
            error.code == .unsupported
                ? log.warning(name, error.message) : log.error(name, error.message)
        }
    }
}
