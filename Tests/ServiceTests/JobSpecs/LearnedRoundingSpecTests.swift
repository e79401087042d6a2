internal import Formats
internal import JobSpecs
internal import Testing

/// How a job asks for rounding that is learned.
@Suite struct LearnedRoundingSpecTests {
    private static func text(_ quantization: String, data: String) -> [UInt8] {
        Array(
            #"{"model":"m","quantization":{"algorithm":"mxfp4",\#(quantization)}\#(data)}"#.utf8
        )
    }

    private static let calibrated = #","data":{"calibration":["t"]}"#

    private func method(_ quantization: String) throws -> PostTrainingMethod {
        let json = Self.text(quantization, data: Self.calibrated)
        guard case .quantize(let spec) = try JobSpec.parse(kind: "quantize", json: json) else {
            throw CancellationError()
        }
        return try #require(spec.quantization.postTraining).rounding
    }

    private func refusals(_ quantization: String, data: String = calibrated) -> [String] {
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "quantize", json: Self.text(quantization, data: data))
        }
        return error?.violations.map(\.description) ?? []
    }

    private func warnings(_ quantization: String) throws -> [String] {
        let json = Self.text(quantization, data: Self.calibrated)
        return try ParsedJob(kind: "quantize", json: json).warnings.map(\.path)
    }

    @Test func aloneAndAfterWhatScalesChannels() throws {
        #expect(
            try method(#""method":"autoround""#) == .init(rounding: .learned(LearnedRounding()))
        )
        #expect(
            try method(#""method":"awq","rounding":"autoround","iterations":50"#)
                == .init(
                    rounding: .learned(LearnedRounding(iterations: 50)),
                    smoothing: .activationAware
                )
        )
        let expected = LearnedRounding(iterations: 200, windows: 8, search: .max)
        #expect(
            try method(#""method":"max","rounding":"autoround","iteration_windows":8"#)
                == .init(rounding: .learned(expected))
        )
    }

    @Test(arguments: [
        #""method":"gptq","rounding":"autoround""#, #""method":"autoround","rounding":"gptq""#,
        #""method":"autoround","rounding":"nearest""#,
    ])
    func twoWaysToFindCodesAreRefused(quantization: String) {
        let found = refusals(quantization)
        #expect(found.count == 1)
        #expect(found.first?.contains("$.quantization.rounding") == true, "\(found)")
        #expect(found.first?.contains("which finds the codes itself") == true, "\(found)")
    }

    @Test(arguments: [#""method":"autoround""#, #""method":"max","rounding":"autoround""#])
    func textIsNeeded(quantization: String) {
        let found = refusals(quantization, data: "")
        #expect(found.contains { $0.contains("$.data.calibration") }, "\(found)")
    }

    @Test(arguments: [#""iterations":0"#, #""iterations":10001"#, #""iteration_windows":0"#])
    func countsHaveLimits(count: String) {
        #expect(refusals(#""method":"autoround",\#(count)"#).count == 1)
    }

    @Test func otherMethodsTakeNoIterations() throws {
        let paths = ["$.quantization.iterations", "$.quantization.iteration_windows"]
        let counts = #","iterations":10,"iteration_windows":2"#
        #expect(try warnings(#""method":"gptq""# + counts) == paths)
        #expect(try warnings(#""method":"autoround""# + counts).isEmpty)
        #expect(
            try warnings(#""method":"autoround","damping":0.1"#) == ["$.quantization.damping"]
        )
    }

    @Test(arguments: ["auto-round", "AutoRound", "signround"])
    func itsOtherNamesAreKnown(name: String) {
        let found = refusals(#""method":"\#(name)""#)
        #expect(found.contains { $0.contains(#"did you mean "autoround"?"#) }, "\(found)")
    }

    @Test(arguments: ["autoround", "awq+autoround"])
    func trainingsBeginFromIt(start: String) throws {
        let text = """
            {"model":"m","start":"\(start)","quantization":{"algorithm":"mxfp4"},
             "data":{"train":["t"]}}
            """
        guard case .train(let spec) = try JobSpec.parse(kind: "train", json: Array(text.utf8)),
            case .method(let method) = spec.start
        else {
            Issue.record("no method to start by")
            return
        }
        #expect(method.method.learned == LearnedRounding())
        #expect(method.method.smoothing == (start == "autoround" ? .none : .activationAware))
    }
}
