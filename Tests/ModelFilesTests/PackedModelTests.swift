internal import Devices
internal import Formats
internal import Kernels
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// Models whose weights stay packed as they are read.
struct PackedModelTests {
    private static var team: ThreadTeam { ThreadTeam(threadCount: 2) }

    /// Expects every matrix to hold what reading gives, to the bit, and the elements of the `expected`
    /// kinds; those of NVFP4 up to `relativeError`.
    private func check(_ path: String, linear: Set<Int>, head: PackedLayout.Element) throws {
        let source = try ModelLoader.open(path: path)
        let whole = try ModelLoader.load(source, team: Self.team).parameters
        let packed = try ModelLoader.loadPacked(source, team: Self.team).parameters
        let device = CPUDevice(team: Self.team)
        var widths: Set<Int> = []
        for entry in whole.layout.entries {
            let expected = whole.elements(of: entry)
            guard entry.shape.count > 1 else {
                #expect(packed.elements(of: entry).elementsEqual(expected), "\(entry.name)")
                continue
            }
            let weight = try #require(packed.packedWeight(entry), "\(entry.name)")
            if whole.layout.module(of: entry) != nil {
                widths.insert(weight.layout.element.bitWidth)
            } else {
                #expect(weight.layout.element == head, "\(entry.name)")
            }
            let rows = device.tensor(columns: entry.rows, type: .int32)
            device.upload((0..<Int32(entry.rows)).map { $0 }, to: rows)
            let output = device.tensor(rows: entry.rows, columns: entry.columns)
            device.embed(rows, packed: device.adopt(weight), into: output)
            var values = [Float](repeating: 0, count: entry.count)
            device.download(output, into: &values)
            let isSame = zip(values, expected).allSatisfy { $0.bitPattern == $1.bitPattern }
            #expect(isSame, "\(entry.name)")
        }
        #expect(widths == linear)
    }

    @Test(arguments: [
        (QuantizationFormat.mxfp4, [4]), (.mxint8, [8]), (.mxfp8, [16]),
        // Rows that are no multiple of llama.cpp's 64 are stored as FP32.
        (.nvfp4, [4, 32]),
    ])
    func ggufStaysPacked(format: QuantizationFormat, widths: [Int]) throws {
        let folder = try TemporaryFolder()
        let recipe = QuantizationRecipe(
            defaultFormat: format,
            rules: [.init(pattern: "*layers.1.mlp.*", format: nil)]
        )
        let written = try QuantizedModel(
            rounding: TinyModel.make(tied: true),
            recipe: recipe,
            team: Self.team
        )
        _ = try written.write(to: GGUFWriter(written.description, folder: folder.path))
        try check(folder.path, linear: Set(widths + [16]), head: .bfloat16)
    }

    @Test(arguments: [
        (HuggingFaceWriter.Format.compressedTensors, QuantizationFormat.mxfp4, 4),
        (.compressedTensors, .mxfp8, 8), (.compressedTensors, .nvfp4, 4),
        (.compressedTensors, .fp8PerTensor, 8), (.compressedTensors, .fp8PerChannel, 8),
        (.modelopt, .mxfp8, 8), (.modelopt, .nvfp4, 4), (.quark, .mxfp4, 4),
        (.quark, .mxfp6E2M3, 6), (.quark, .mxfp6E3M2, 6),
    ])
    func foldersStayPacked(
        layout: HuggingFaceWriter.Format,
        format: QuantizationFormat,
        width: Int
    ) throws {
        let folder = try TemporaryFolder()
        let written = try QuantizedModel(
            rounding: TinyModel.make(tied: false),
            recipe: QuantizationRecipe(defaultFormat: format),
            team: Self.team
        )
        _ = try written.write(
            to: HuggingFaceWriter(written.description, format: layout, folder: folder.path)
        )
        try check(folder.path, linear: [width], head: .bfloat16)
    }
}
