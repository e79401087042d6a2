internal import Devices
public import Formats
public import Kernels
internal import Quantization

/// What a format costs one group of modules that must share a format, alone in a model that is
/// otherwise left as it is.
public struct LayerSensitivity: Sendable, Codable, Equatable {
    /// A format and what it costs.
    public struct Candidate: Sendable, Codable, Equatable {
        /// The format.
        public var format: QuantizationFormat
        /// Stored bits of the group, block scales included.
        public var bitCount: Double
        /// The measure's value; larger is worse.
        public var error: Double
    }

    /// The group's modules, as in `model.layers.0.self_attn.q_proj`.
    public var modules: [String]
    /// Weights in the group.
    public var weightCount: Int
    /// The candidates, in the order given.
    public var candidates: [Candidate]
}

/// Measures ``LayerSensitivity``.
public struct SensitivityAnalysis {
    private let parameters: Parameters
    private let candidates: [QuantizationFormat]
    private let team: ThreadTeam

    /// An analysis of the groups of `parameters`; it leaves them as they are.
    public init(parameters: Parameters, candidates: [QuantizationFormat], team: ThreadTeam) {
        self.parameters = parameters
        self.candidates = candidates
        self.team = team
    }

    /// Measures every group for which `isIncluded` says so of its modules.
    ///
    /// `onGroup`: Told how many candidates are measured and how many there are; throwing stops.
    ///
    /// - Throws: ``TransformerError`` (`invalidRecipe` if a block size does not divide).
    public func run(
        _ measure: SensitivityMeasure,
        calibration: CalibrationWindows,
        divergence: LogitDivergence?,
        isIncluded: (String) -> Bool,
        onGroup: (Int, Int) throws -> Void = { _, _ in }
    ) throws -> [LayerSensitivity] {
        let groups = try Self.groups(parameters.layout, candidates, isIncluded)
        switch measure {
        case .divergence:
            let divergence =
                try divergence
                ?? LogitDivergence(
                    original: parameters,
                    tokens: calibration.prefix(1),
                    length: calibration.length,
                    device: CPUDevice(team: team)
                )
            return try byDivergence(groups, divergence, onGroup)
        case .outputError:
            return try byOutputError(groups, calibration, onGroup)
        }
    }

    private struct Group {
        let first: LinearModule
        let layer: Int
        let entries: [ParameterLayout.Entry]

        var weightCount: Int { entries.reduce(0) { $0 + $1.count } }

        /// Stored bits in a format, block scales included.
        func bitCount(_ format: QuantizationFormat) -> Double {
            entries.reduce(0) {
                $0 + Double(format.storedByteCount(rows: $1.rows, columns: $1.columns)) * 8
            }
        }
    }

    /// Groups of `layout` that choose among the candidates, and what they can come to.
    ///
    /// - Returns: How many groups choose, and the stored bits per weight over them, from all taking
    ///   their smallest candidate to all taking their largest; nil if none chooses.
    /// - Throws: ``TransformerError`` (`invalidRecipe` if a block size does not divide).
    public static func room(
        of layout: ParameterLayout,
        candidates: [QuantizationFormat],
        isIncluded: (String) -> Bool
    ) throws -> (groups: Int, bitsPerWeight: ClosedRange<Double>)? {
        let groups = try groups(layout, candidates, isIncluded)
        guard !groups.isEmpty, !candidates.isEmpty else { return nil }
        var (weights, least, most) = (0.0, 0.0, 0.0)
        for group in groups {
            let bits = candidates.map(group.bitCount)
            weights += Double(group.weightCount)
            least += bits.min() ?? 0
            most += bits.max() ?? 0
        }
        return (groups.count, least / weights...most / weights)
    }

    private static func groups(
        _ layout: ParameterLayout,
        _ candidates: [QuantizationFormat],
        _ isIncluded: (String) -> Bool
    ) throws -> [Group] {
        try (0..<layout.configuration.layerCount).flatMap { layer in
            try layout.configuration.inputGroups.compactMap { first in
                try group(first, layer: layer, layout, candidates, isIncluded)
            }
        }
    }

    private static func group(
        _ first: LinearModule,
        layer: Int,
        _ layout: ParameterLayout,
        _ candidates: [QuantizationFormat],
        _ isIncluded: (String) -> Bool
    ) throws -> Group? {
        let modules = layout.configuration.modules(sharingInputOf: first)
        guard modules.allSatisfy({ isIncluded($0.name(layer: layer)) }) else { return nil }
        let entries = modules.map { layout.entry(of: $0, layer: layer) }
        for entry in entries {
            for format in candidates {
                do {
                    try BlockQuantizer.checkShape(
                        rows: entry.rows,
                        columns: entry.columns,
                        format: format
                    )
                } catch {
                    throw TransformerError(.invalidRecipe, "\(entry.name): \(error)")
                }
            }
        }
        return Group(first: first, layer: layer, entries: entries)
    }

    private func sensitivity(_ group: Group, errors: [Double]) -> LayerSensitivity {
        LayerSensitivity(
            modules: group.entries.map(\.module),
            weightCount: group.weightCount,
            candidates: zip(candidates, errors).map { format, error in
                .init(format: format, bitCount: group.bitCount(format), error: error)
            }
        )
    }

    /// Rounds a group to nearest in place.
    private func round(_ group: Group, to format: QuantizationFormat) {
        let amax =
            format.scaleKind.hasTensorScale
            ? parameters.sharedAmax(group.first, layer: group.layer, team: team) : nil
        for entry in group.entries {
            let values = parameters.storage.pointer + entry.offset
            BlockQuantizer.fakeQuantize(
                values,
                into: values,
                rows: entry.rows,
                columns: entry.columns,
                format: format,
                amax: amax,
                team: team
            )
        }
    }

    private func save(_ group: Group, to copy: AlignedBuffer<Float>) {
        var next = copy.pointer
        for entry in group.entries {
            next.update(from: parameters.storage.pointer + entry.offset, count: entry.count)
            next += entry.count
        }
    }

    private func restore(_ group: Group, from copy: AlignedBuffer<Float>) {
        var next = copy.pointer
        for entry in group.entries {
            (parameters.storage.pointer + entry.offset).update(from: next, count: entry.count)
            next += entry.count
        }
    }

    private func byDivergence(
        _ groups: [Group],
        _ divergence: LogitDivergence,
        _ onGroup: (Int, Int) throws -> Void
    ) throws -> [LayerSensitivity] {
        let copy = AlignedBuffer<Float>(count: groups.map(\.weightCount).max() ?? 0)
        let variants = groups.flatMap { group in
            candidates.map { format in
                (
                    layer: group.layer,
                    change: {
                        save(group, to: copy)
                        round(group, to: format)
                    },
                    undo: { restore(group, from: copy) }
                )
            }
        }
        var errors: [Double] = []
        try divergence.measure(parameters, variants: variants) { index, result in
            errors.append(max(result.klDivergence, 0))
            try onGroup(index + 1, variants.count)
        }
        return groups.enumerated().map { index, group in
            let first = index * candidates.count
            return sensitivity(group, errors: Array(errors[first..<first + candidates.count]))
        }
    }

    private func byOutputError(
        _ groups: [Group],
        _ calibration: CalibrationWindows,
        _ onGroup: (Int, Int) throws -> Void
    ) throws -> [LayerSensitivity] {
        let pass = try LayerwisePass(
            parameters: parameters,
            windows: calibration,
            device: CPUDevice(team: team)
        )
        let largest = groups.map(\.weightCount).max() ?? 0
        let copy = AlignedBuffer<Float>(count: largest)
        let spread = AlignedBuffer<Float>(count: largest)
        var found: [LayerSensitivity] = []
        for layer in 0..<parameters.configuration.layerCount {
            let inputs = try pass.observe(layer: layer)
            for group in groups where group.layer == layer {
                guard let moments = inputs[group.first]?.moments.host else { continue }
                save(group, to: copy)
                let outputs = energy(group, moments, less: nil, spread)
                let errors = candidates.map { format in
                    round(group, to: format)
                    defer { restore(group, from: copy) }
                    return energy(group, moments, less: copy, spread) / max(outputs, 1e-30)
                }
                found.append(sensitivity(group, errors: errors))
                try onGroup(
                    found.count * candidates.count,
                    groups.count * candidates.count
                )
            }
            try pass.advance(layer: layer)
        }
        return found
    }

    /// `Σ d · M · dᵀ` over the group's rows, `d` being the weights less their copy.
    private func energy(
        _ group: Group,
        _ moments: AlignedBuffer<Float>,
        less copy: AlignedBuffer<Float>?,
        _ spread: AlignedBuffer<Float>
    ) -> Double {
        let difference = AlignedBuffer<Float>(count: group.weightCount)
        save(group, to: difference)
        if let copy {
            for index in 0..<group.weightCount {
                difference.pointer[index] -= copy.pointer[index]
            }
        }
        let width = group.entries[0].columns
        MatrixProduct(team: team).linear(
            output: spread.pointer,
            input: difference.pointer,
            weight: .rows(moments.pointer),
            rows: group.weightCount / width,
            inputWidth: width,
            outputWidth: width
        )
        return MatrixProduct.dot(difference.pointer, spread.pointer, count: group.weightCount)
    }
}
