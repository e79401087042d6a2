internal import ComputeKit
internal import Devices
internal import Formats
internal import Inference
internal import JobInputs
internal import JobSpecs
internal import Jobs
internal import Kernels
internal import ModelFiles
internal import Serving
internal import ServiceKit
internal import Transformer

/// One serve job: a model that is loaded and answers requests until it is told to end.
struct ServeJob {
    private let spec: ServeSpec
    private let request: ComputeRequest
    private let reporter: ComputeReporter
    private let team: ThreadTeam

    init(_ request: ComputeRequest, _ reporter: ComputeReporter) throws {
        let (spec, _) = try JobSpecification.read(request, service: "serves") { job -> ServeSpec? in
            if case .serve(let spec) = job { spec } else { nil }
        }
        self.spec = spec
        self.request = request
        self.reporter = reporter
        team = ThreadTeam(threadCount: request.threads)
        reporter.follow { [team] in team.pieceCount }
    }

    /// Serves; ends by ``AttemptStopped``, with results told before.
    func run() throws {
        for remark in try JobInputs.accept(.serve(spec), request, reporter) { reporter.log(remark) }
        let inbox = OrderInbox()
        reporter.listen { [reporter] line in
            do { try inbox.add(line: line) } catch {
                reporter.log("an order that cannot be read is left out: \(error)")
            }
        }
        reporter.progress(phase: "load")
        let model = try LoadedEngine(
            path: try request.path("/model"),
            options: try options(),
            team: team
        )
        reporter.log(Self.words(model, spec))
        let loop = ReplicaLoop(
            model,
            RequestReader(model, spec),
            slots: spec.maximumBatchSize,
            inbox: inbox,
            reporter: reporter
        )
        let results = try loop.run()
        try JobReport.write(results, to: request.outputFolder)
        try reporter.result(results)
        throw AttemptStopped("drained")
    }

    private func options() throws -> EngineOptions {
        let configuration = try ModelLoader.open(path: try request.path("/model")).configuration
        let length = spec.length(within: configuration.maximumPositions)
        var options = EngineOptions(
            length: length,
            // One more, for the prompt that a replica tries by itself.
            sequences: spec.maximumBatchSize + 1,
            encoding: spec.cache.encoding,
            roundsActivations: spec.activations == .asExported
        )
        let limits = BatchLimits(
            rows: options.rows,
            sequences: spec.maximumBatchSize,
            length: length,
            encoding: options.encoding
        )
        let probePages = 1 + (16 + ProbePrompt.tokenLimit) / limits.pageRows
        let pages = spec.cacheTokens.map { ($0 + limits.pageRows - 1) / limits.pageRows }
        options.pageCount = (pages ?? limits.pageCount) + probePages
        return options
    }

    private static func words(_ model: LoadedEngine, _ spec: ServeSpec) -> String {
        let template = model.chatTemplate == nil ? "no chat template" : "its own chat template"
        return """
            texts of \(model.engine.length) tokens with their prompts, \(spec.maximumBatchSize) at once, \
            \(model.engine.load.pages) pages of keys and values in \(spec.cache.rawValue); \(template)
            """
    }
}

extension ServeSpec.CacheFormat {
    fileprivate var encoding: CacheEncoding {
        switch self {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .fp8: .quantized(.fp8PerTensor)
        case .mxfp4: .quantized(.mxfp4)
        case .nvfp4: .quantized(.nvfp4)
        }
    }
}
