internal import Transformer

/// Checks that a folder's tensors are exactly what its configuration says, and their scales sound.
struct TensorLint {
    /// What scales of a cache are called, in any dialect.
    private static let cacheSuffixes = CheckpointDialects.all.compactMap(\.cacheScales)
        .flatMap { ["." + $0.key, "." + $0.value] }

    private let folder: CheckpointFolder
    private let schemes: SchemeTable

    init(_ folder: CheckpointFolder, _ schemes: SchemeTable) {
        self.folder = folder
        self.schemes = schemes
    }

    func lint(_ log: inout LintLog) {
        var known: Set<String> = [HeadTensors.name]
        for module in folder.modules {
            let prefix = module.name + "."
            known.formUnion(
                schemes.tensorNames(of: module)
                    ?? folder.tensors.keys.filter { $0.hasPrefix(prefix) }
            )
            switch schemes[module] {
            case .plain: lintPlain(module, &log)
            case .scheme(let scheme, _): lint(module, scheme, &log)
            case .unchecked: break
            }
        }
        known.formUnion(lintCache(&log))
        lintStrays(known, &log)
    }

    private func lintPlain(_ module: StoredModule, _ log: inout LintLog) {
        let name = module.plainName
        guard let tensor = folder.tensors[name] else {
            log.error(name, "is missing; config.json does not say that it is quantized")
            return
        }
        guard SafetensorsType.floats.contains(tensor.type) else {
            log.error(
                name,
                "is \(tensor.type.rawValue), but config.json does not say that it is quantized"
            )
            return
        }
        guard tensor.shape == module.shape else {
            log.error(name, "has the shape \(tensor.shape), the model \(module.shape)")
            return
        }
        ValueLint.floats(tensor, &log)
    }

    private func lint(
        _ module: StoredModule,
        _ scheme: StorageScheme,
        _ log: inout LintLog
    ) {
        guard module.columns.isMultiple(of: scheme.blockSize) else {
            log.error(
                module.name,
                """
                has \(module.columns) inputs, no multiple of \(scheme.name)'s blocks of \
                \(scheme.blockSize)
                """
            )
            return
        }
        for expected in scheme.tensors {
            let name = module.name + expected.suffix
            guard let tensor = folder.tensors[name] else {
                if !expected.isOptional { log.error(name, "is missing; \(scheme.name) has it") }
                continue
            }
            let shape = expected.shape.extents(rows: module.rows, columns: module.columns)
            lint(tensor, expected, shape: shape, of: scheme.name, &log)
        }
    }

    private func lint(
        _ tensor: SafetensorsFile.Tensor,
        _ expected: SchemeTensor,
        shape: [Int],
        of scheme: String,
        _ log: inout LintLog
    ) {
        // Some writers keep FP32 scales in the model's own type, which readers convert.
        let isConverted = tensor.type != expected.type
        if isConverted {
            let message = "is \(tensor.type.rawValue); \(scheme) has \(expected.type.rawValue)"
            guard expected.acceptedTypes.contains(tensor.type) else {
                return log.error(tensor.name, message)
            }
            log.warning(tensor.name, message)
        }
        if tensor.shape != shape {
            let message = "has the shape \(tensor.shape); \(scheme) has \(shape)"
            // Readers take [1] for a scalar and the reverse.
            guard shape.count <= 1, tensor.count == 1, shape.reduce(1, *) == 1 else {
                return log.error(tensor.name, message)
            }
            log.warning(tensor.name, message)
        }
        ValueLint.values(tensor, expected.role, &log)
    }

    /// Checks the scales of keys and values; their names.
    private func lintCache(_ log: inout LintLog) -> Set<String> {
        guard let scales = schemes.cacheScales else { return [] }
        var names: Set<String> = []
        for layer in 0..<folder.model.layerCount {
            let (key, value) = scales.names(layer: layer)
            for name in [key, value] {
                names.insert(name)
                guard let tensor = folder.tensors[name] else {
                    log.error(name, "is missing; config.json says that the cache is quantized")
                    continue
                }
                guard tensor.count == 1, tensor.type == .f32 else {
                    log.error(
                        name,
                        "is \(tensor.type.rawValue) of shape \(tensor.shape), not one F32 number"
                    )
                    continue
                }
                ValueLint.values(tensor, .factors, &log)
            }
        }
        return names
    }

    private func lintStrays(_ known: Set<String>, _ log: inout LintLog) {
        for name in folder.tensors.keys.sorted() where !known.contains(name) {
            if let tensor = folder.tensors[name], TensorClaims.isNeutral(tensor) {
                log.warning(name, "changes nothing and is not read; drop it")
            } else if Self.cacheSuffixes.contains(where: name.hasSuffix) {
                log.error(name, "is a scale of the cache, which config.json does not speak of")
            } else {
                log.error(name, "belongs to nothing that config.json describes")
            }
        }
    }
}
