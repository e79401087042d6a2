internal import Devices
internal import Foundation
internal import Kernels
internal import ModelFiles
internal import Testing
internal import Transformer

/// Divergence, agreement and flips equal what transformers' logits come to; see
/// `Fixtures/make_agreement_fixture.py`.
@Suite struct AgreementTests {
    private struct Changes: Decodable {
        let rmsNormEps: Double
        let ropeTheta: Double
    }

    private struct Expected: Decodable {
        let length: Int
        let changes: Changes
        let tokens: [Int32]
        let klDivergence: Double
        let top1Agreement: Double
        let flips: Double
    }

    /// The fixture's model with another configuration.
    private func changed(_ changes: Changes) throws -> LoadedModel {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "qat-agreement-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let source = URL(filePath: try ChoiceFixture.path("model"))
        try FileManager.default.copyItem(at: source, to: folder)
        let file = folder.appending(path: "config.json")
        let object = try JSONSerialization.jsonObject(with: Data(contentsOf: file))
        var configuration = try #require(object as? [String: Any])
        configuration["rms_norm_eps"] = changes.rmsNormEps
        configuration["rope_theta"] = changes.ropeTheta
        try JSONSerialization.data(withJSONObject: configuration).write(to: file)
        return try ModelLoader.load(path: folder.path, team: ThreadTeam(threadCount: 1))
    }

    @Test func equalsTransformers() throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let path = try ChoiceFixture.path("expected/agreement.json")
        let expected = try decoder.decode(
            Expected.self,
            from: Data(contentsOf: URL(filePath: path))
        )
        var seen: [Int] = []
        let outputs = try ReferenceOutputs(
            parameters: ChoiceFixture.model().parameters,
            activations: .none,
            tokens: expected.tokens,
            length: expected.length,
            windows: 100,
            device: CPUDevice(team: ThreadTeam(threadCount: 1))
        ) { seen.append($0) }
        #expect(seen == [1, 2, 3, 4, 5])
        let same = try outputs.compare(
            ChoiceFixture.model().parameters,
            activations: .none
        ) { _ in }
        #expect(abs(same.divergence.mean) <= 1e-6)
        #expect(same.topAgreement.mean == 1 && same.flips.mean == 0)
        let other = try outputs.compare(
            changed(expected.changes).parameters,
            activations: .none
        ) { _ in }
        #expect(abs(other.divergence.mean - expected.klDivergence) <= 2e-5)
        #expect(abs(other.topAgreement.mean - expected.top1Agreement) <= 1e-12)
        #expect(abs(other.flips.mean - expected.flips) <= 1e-12)
        let interval = try #require(other.divergence.interval)
        #expect(interval[0] < other.divergence.mean && other.divergence.mean < interval[1])
        #expect(other.windowCount == 5)
    }
}
