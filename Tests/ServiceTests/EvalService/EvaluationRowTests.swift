internal import Formats
internal import Foundation
internal import JobSpecs
internal import ServiceKit
internal import Testing
internal import Transformer

@testable internal import EvalService

struct EvaluationRowTests {
    private static func row() -> EvaluationRow {
        EvaluationRow(
            label: "QAT",
            storedByteCount: 27,
            bf16ByteCount: 54,
            activations: ActivationQuantization(
                inputs: ["model.layers.0.mlp.up_proj": .init(format: .mxfp4)],
                keyScales: [1],
                valueScales: [1]
            )
        )
    }

    private static func json(_ value: some Encodable) throws -> [String: Any] {
        let object = try JSONSerialization.jsonObject(with: ResultJSON.data(value))
        return try #require(object as? [String: Any])
    }

    private static func perplexity(
        _ value: Double,
        _ interval: [Double]?,
        index: Int
    ) -> EvalService.Measurement {
        EvalService.Measurement(
            task: .perplexity,
            index: index,
            text: "t.txt",
            name: .perplexity,
            value: value,
            interval: interval,
            count: interval == nil ? 1 : 4
        )
    }

    @Test func whatNoTaskMeasuredIsNull() throws {
        let json = try Self.json(Self.row())
        for key in [
            "perplexity", "perplexity_ci95", "accuracy", "latency_ms", "tokens_per_s",
            "peak_memory_bytes",
        ] {
            #expect(json[key] is NSNull, "\(key)")
        }
        #expect(json["memory_ratio"] as? Double == 0.5)
        #expect(json["activations"] as? String == "mxfp4")
        #expect(json["kv_cache"] as? String == "fp8")
        #expect((json["measurements"] as? [Any])?.isEmpty == true)
    }

    @Test func tasksOfAKindStandBesideEachOther() throws {
        var row = Self.row()
        row.measurements = [
            Self.perplexity(12, [11, 13], index: 0), Self.perplexity(20, nil, index: 2),
        ]
        let json = try Self.json(row)
        #expect(json["perplexity"] as? Double == 12)
        #expect(json["perplexity_ci95"] as? [Double] == [11, 13])
        let list = try #require(json["measurements"] as? [[String: Any]])
        #expect(list.map { $0["value"] as? Double } == [12, 20])
        #expect(list.map { $0["name"] as? String } == ["perplexity", "perplexity"])
        #expect(list.map { $0["task"] as? String } == ["perplexity", "perplexity"])
        #expect(list.map { $0["index"] as? Int } == [0, 2])
        #expect(list.map { $0["count"] as? Int } == [4, 1])
        #expect(list[1]["interval"] is NSNull && list[1]["text"] as? String == "t.txt")
    }
}
