internal import Transformer

/// Checks layers that servers fuse into one: they have one format, and one scale above blocks.
struct FusionLint {
    private let folder: CheckpointFolder
    private let schemes: SchemeTable

    init(_ folder: CheckpointFolder, _ schemes: SchemeTable) {
        self.folder = folder
        self.schemes = schemes
    }

    func lint(_ log: inout LintLog) {
        let model = folder.model
        var stored: [String: StoredModule] = [:]
        for module in folder.modules where module.isMatrix {
            for part in module.parts { stored[part.module] = module }
        }
        for layer in 0..<model.layerCount {
            for first in model.inputGroups {
                var modules: [StoredModule] = []
                for member in model.modules(sharingInputOf: first) {
                    guard let module = stored[member.name(layer: layer)] else { continue }
                    // What stands in one tensor has one format.
                    if !modules.contains(module) { modules.append(module) }
                }
                if modules.count > 1 { lint(modules, &log) }
            }
        }
    }

    private func lint(_ modules: [StoredModule], _ log: inout LintLog) {
        let first = schemes[modules[0]]
        var isUniform = true
        for module in modules.dropFirst() where schemes[module] != first {
            isUniform = false
            log.error(
                module.name,
                """
                is \(Self.name(schemes[module])), \(modules[0].name) \(Self.name(first)); vLLM \
                fuses them and refuses: give them one format
                """
            )
        }
        guard isUniform, case .scheme(let scheme, _) = first, let tensor = scheme.twoLevelTensor
        else {
            return
        }
        lintScales(modules.map { $0.name + tensor.suffix }, &log)
        for tensor in scheme.tensors where tensor.role.isOfInputs {
            lintScales(modules.map { $0.name + tensor.suffix }, &log)
        }
    }

    private func lintScales(_ names: [String], _ log: inout LintLog) {
        guard let first = scale(names[0]) else { return }
        for name in names.dropFirst() {
            guard let value = scale(name), value != first else { continue }
            log.warning(
                name,
                """
                is \(value), \(names[0]) \(first); servers that fuse the layers take one of them, \
                which costs accuracy
                """
            )
        }
    }

    private func scale(_ name: String) -> Float? {
        guard let tensor = folder.tensors[name], tensor.type == .f32, tensor.count == 1 else {
            return nil
        }
        return ValueLint.float(tensor.bytes, 0)
    }

    private static func name(_ storage: ModuleStorages.Storage) -> String {
        switch storage {
        case .plain: "not quantized"
        case .scheme(let scheme, let inputs): "\(scheme.name) with inputs \(inputs.phrase)"
        case .unchecked: "in a format that is not checked"
        }
    }
}
