internal import ComputeKit
internal import Foundation
internal import Jobs
internal import Quantization
internal import ServiceKit
internal import Testing
internal import Transformer

@testable internal import DurableFiles
@testable internal import ModelFiles

/// Whose fault an error is.
@Suite struct JobFailureTests {
    private static let request = ComputeRequest(
        jobID: "j",
        kind: "train",
        attempt: 1,
        spec: "{}",
        inputs: [:],
        outputFolder: "/out",
        checkpointFolder: "/checkpoints",
        threads: 1
    )

    private func reason(of error: any Error) -> JobReason? {
        let failure = #expect(throws: ComputeFailure.self) {
            try JobFailure.translating(Self.request) { throw error }
        }
        return failure?.reason
    }

    @Test func reasonsFollowCodesAndNotWords() {
        #expect(reason(of: ModelFileError(.noSpace, "f: write: out of room")) == .noDisk)
        // A tensor may have any name.
        #expect(reason(of: ModelFileError(.malformed, "No space left is no tensor")) == .userError)
        #expect(reason(of: TransformerError(.diverged, "step 3")) == .diverged)
        #expect(reason(of: TransformerError(.nonFinite, "step 3")) == .userError)
        #expect(reason(of: QuantizationError(.nonFiniteInput, "w")) == .userError)
    }

    @Test(arguments: [
        (ENOSPC, ModelFileError.Code.noSpace), (EDQUOT, .noSpace), (EACCES, .inputOutput),
    ])
    func fullDisksAreKnownByTheirNumber(number: Int32, code: ModelFileError.Code) {
        let error = ModelFileError(DurableFileError("write", "/a/b", number: number))
        #expect(error.code == code)
        #expect(error.message.hasPrefix("/a/b: write: "))
    }
}
