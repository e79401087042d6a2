internal import Transformer

/// Checks a GGUF file's keys and tensors as llama.cpp would.
///
/// - SeeAlso: ggml, `docs/gguf.md`; llama.cpp, `llama-model.cpp`.
struct GGUFLint {
    private let gguf: GGUFFile

    init(_ gguf: GGUFFile) {
        self.gguf = gguf
    }

    func lint(_ log: inout LintLog) {
        let architecture = gguf.text("general.architecture") ?? "missing"
        guard let family = ModelFamilies.all.first(where: { $0.gguf.architecture == architecture })
        else {
            let names = ModelFamilies.ggufNames.joined(separator: ", ")
            return log.error("general.architecture", "is \(architecture); checked are \(names)")
        }
        let missing = GGUFKeyLint(gguf, family).lint(&log)
        lintFileType(&log)
        guard gguf.tensors["token_embd.weight"] != nil else {
            return log.error("token_embd.weight", "is missing")
        }
        guard !missing else { return }
        do {
            lintTensors(try GGUFConfiguration(gguf).model, &log)
        } catch {
            log.error("\(architecture).*", error.message)
        }
    }

    private func lintTensors(_ configuration: ModelConfiguration, _ log: inout LintLog) {
        var known = Set(GGUFLayout.factorTensors)
        let layout = GGUFLayout(configuration)
        for entry in layout.stored.map(\.entry) {
            let name = layout.name(of: entry)
            known.insert(name)
            guard let tensor = gguf.tensors[name] else {
                log.error(name, "is missing")
                continue
            }
            guard tensor.shape == entry.shape else {
                log.error(name, "has the shape \(tensor.shape), the model \(entry.shape)")
                continue
            }
            if entry.shape.count == 1, tensor.type != .f32 {
                log.warning(name, "is \(tensor.type); llama.cpp's converter writes vectors as f32")
            }
            ValueLint.blocks(tensor, &log)
            if tensor.type == .nvfp4 {
                known.formUnion(lintSidecars(name, &log))
            }
        }
        for name in gguf.tensors.keys.sorted() where !known.contains(name) {
            log.error(name, "belongs to no tensor of the model; llama.cpp refuses the file")
        }
    }

    /// Checks the scales beside an NVFP4 tensor; their names.
    private func lintSidecars(_ name: String, _ log: inout LintLog) -> [String] {
        let stem = name.dropLast(".weight".count)
        let names = ["\(stem).scale", "\(stem).input_scale"]
        for sidecar in names {
            guard let tensor = gguf.tensors[sidecar] else {
                if sidecar == names[0] {
                    log.error(sidecar, "is missing; without it \(name) is off by that factor")
                }
                continue
            }
            guard tensor.type == .f32, tensor.shape == [1] else {
                log.error(sidecar, "is \(tensor.type) of shape \(tensor.shape), not one f32 number")
                continue
            }
            ValueLint.factors(tensor.bytes, sidecar, &log)
        }
        return names
    }

    /// Warns if no matrix is of the type that the file is said to be of.
    private func lintFileType(_ log: inout LintLog) {
        // llama.cpp adds 1024 to a type it guessed.
        guard let stated = gguf.integer("general.file_type").map({ $0 & ~1024 }) else { return }
        let types = Set(gguf.tensors.values.filter { $0.shape.count > 1 }.map(\.type))
        if !types.contains(where: { $0.fileTypes.contains(stated) }) {
            let names = types.map { "\($0)" }.sorted().joined(separator: ", ")
            log.warning("general.file_type", "is \(stated); the matrices are \(names)")
        }
    }
}
