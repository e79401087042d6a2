internal import Foundation
internal import Jobs
internal import Testing

@testable internal import ComputeKit
@testable internal import EvalService
@testable internal import QuantService
@testable internal import ServiceKit
@testable internal import TrainService

/// A wrong specification is the same failure in every service.
@Suite struct JobSpecificationTests {
    private static func request(_ kind: String, _ spec: String) -> ComputeRequest {
        ComputeRequest(
            jobID: "j",
            kind: kind,
            attempt: 1,
            spec: spec,
            inputs: [:],
            outputFolder: "/out",
            checkpointFolder: "/checkpoints",
            threads: 1
        )
    }

    private static func failure(_ service: String, _ request: ComputeRequest) -> ComputeFailure? {
        #expect(throws: ComputeFailure.self) {
            let reporter = ComputeReporter(output: .nullDevice)
            switch service {
            case "quantize": _ = try QuantizationJob(request, reporter)
            case "train": _ = try TrainingPlan.specification(request)
            default: _ = try EvaluationJob(request, reporter)
            }
        }
    }

    private static let services = ["quantize", "train", "evaluate"]

    @Test(arguments: services)
    func wrongSpecificationsAreInvalid(service: String) {
        for spec in [#"{"model": "m"}"#, #"{"models": 1}"#, "[", "{}"] {
            let error = Self.failure(service, Self.request(service, spec))
            #expect(error?.reason == .invalidSpec, "\(spec)")
        }
    }

    @Test(arguments: services)
    func jobsOfOtherKindsAreInvalid(service: String) {
        let specs = [
            "quantize": #"{"model": "m", "quantization": {"algorithm": "mxfp4"}}"#,
            "train": """
            {"model": "m", "quantization": {"algorithm": "mxfp4"},
             "data": {"train": ["t.txt"], "seq_length": 64}}
            """,
            "evaluate": """
            {"models": [{"label": "a", "model": "m"}],
             "tasks": [{"type": "perplexity", "text": "t.txt"}]}
            """,
        ]
        for (kind, spec) in specs where kind != service {
            let error = Self.failure(service, Self.request(kind, spec))
            #expect(error?.reason == .invalidSpec)
            #expect(error?.message.contains("the job's kind is \(kind)") == true)
        }
    }
}
