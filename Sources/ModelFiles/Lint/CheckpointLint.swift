internal import Foundation
internal import Transformer

/// Checks checkpoints as the servers that load them would, without loading weights into memory.
public enum CheckpointLint {
    /// Everything wrong with a Hugging Face folder, a GGUF file or a folder with a `model.gguf`.
    ///
    /// Tensors are read through a mapping whose pages are dropped after each. What cannot be read at
    /// all is one error with the reader's message.
    /// - Complexity: One pass over the files.
    public static func lint(path: String) -> [LintFinding] {
        var log = LintLog()
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            log.error(path, "no such file or folder")
            return log.findings
        }
        if !isFolder.boolValue {
            lintGGUF(path, &log)
        } else if !FileSystem.exists(path + "/config.json"),
            FileSystem.exists(path + "/model.gguf")
        {
            lintGGUF(path + "/model.gguf", &log)
        } else {
            lintFolder(path, &log)
        }
        return log.findings
    }

    private static func lintGGUF(_ path: String, _ log: inout LintLog) {
        do {
            let file = try GGUFFile(path: path)
            // Tensors point into the mapping.
            withExtendedLifetime(file) { GGUFLint(file).lint(&log) }
        } catch {
            log.error((path as NSString).lastPathComponent, error.message)
        }
    }

    private static func lintFolder(_ path: String, _ log: inout LintLog) {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        guard files.contains(where: { $0 == "config.json" || $0.hasSuffix(".safetensors") }) else {
            log.error(
                "config.json",
                "is missing, as are model.gguf and weights: \(path) is no checkpoint"
            )
            return
        }
        for name in ["tokenizer.json", "tokenizer_config.json"]
        where !files.contains(name) {
            // SentencePiece's file stands for tokenizer.json.
            if name == "tokenizer.json", files.contains("tokenizer.model") { continue }
            let message = "is missing; copy the original model's, if it has one"
            name == "tokenizer.json" ? log.error(name, message) : log.warning(name, message)
        }
        guard let folder = CheckpointFolder(path: path, &log) else { return }
        // Tensors point into the mapping.
        withExtendedLifetime(folder) {
            ConfigurationLint(folder).lint(&log)
            ShardLint(folder).lint(&log)
            let schemes = SchemeTable(folder, &log)
            TensorLint(folder, schemes).lint(&log)
            FusionLint(folder, schemes).lint(&log)
        }
    }
}
