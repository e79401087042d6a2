internal import Devices
internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Testing
internal import Transformer

@testable internal import Questions

/// What lm-evaluation-harness finds of a tiny model on generated questions; see `Fixtures/README.md`.
struct ChoiceFixture: CustomTestStringConvertible, Sendable {
    struct Sample: Decodable {
        let lls: [Double]
        let acc: Double
        let accNorm: Double?
    }

    struct Expected: Decodable {
        let fewShot: Int
        let metrics: [String: Double]
        let firstRequests: [[[String]]]
        let samples: [Sample]
        let positions: Int?
    }

    let name: String
    let task: any ChoiceTask
    var questions: String
    var examples: String?

    var testDescription: String { name }

    static let all: [ChoiceFixture] = [
        .mmlu("abstract_algebra", 0), .mmlu("abstract_algebra", 5),
        .mmlu("high_school_us_history", 0), .mmlu("high_school_us_history", 5),
        .mmlu("virology", 0), .mmlu("virology", 5),
        .lines("hellaswag_0", HellaSwag()), .lines("hellaswag_3", HellaSwag()),
        .lines("arc_easy_0", ARC()), .lines("arc_easy_3", ARC()), .lines("arc_easy_3_cut", ARC()),
        .lines("piqa_0", PIQA()), .lines("piqa_2", PIQA()),
        .lines("winogrande_0", WinoGrande()), .lines("winogrande_6", WinoGrande()),
        .lines("truthfulqa_mc1_0", TruthfulQA(.one)),
        .lines("truthfulqa_mc2_0", TruthfulQA(.several)),
        .lines("boolq_0", BoolQ()), .lines("boolq_2", BoolQ()),
    ]

    private static func mmlu(_ subject: String, _ count: Int) -> ChoiceFixture {
        ChoiceFixture(
            name: "mmlu_\(subject)_\(count)",
            task: MMLU(),
            questions: "mmlu/\(subject)_test.csv",
            examples: "mmlu/\(subject)_dev.csv"
        )
    }

    private static func lines(_ name: String, _ task: any ChoiceTask) -> ChoiceFixture {
        let stem =
            name.hasPrefix("truthfulqa")
            ? "truthfulqa" : name.prefix { !$0.isNumber }.dropLast()
        return ChoiceFixture(
            name: name,
            task: task,
            questions: "\(stem).jsonl",
            examples: stem.hasPrefix("truthfulqa") ? nil : "\(stem)_train.jsonl"
        )
    }

    static func path(_ name: String) throws -> String {
        try #require(Bundle.module.resourceURL).appending(path: "Fixtures/" + name).path
    }

    func expected() throws -> Expected {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let path = try Self.path("expected/\(name).json")
        return try decoder.decode(Expected.self, from: Data(contentsOf: URL(filePath: path)))
    }

    func set(_ count: Int) throws -> ChoiceSet {
        try ChoiceSet(
            task,
            questions: [Self.path("questions/" + questions)],
            examples: examples.map { [try Self.path("questions/" + $0)] } ?? [],
            .init(exampleCount: count)
        )
    }

    static func model() throws -> LoadedModel {
        try ModelLoader.load(path: path("model"), team: ThreadTeam(threadCount: 1))
    }
}
