internal import Devices
internal import Foundation
internal import Kernels
internal import Testing

@testable internal import Transformer

/// Divergences of logits against PyTorch; see `Fixtures/make_divergence_fixtures.py`.
struct DivergenceTests {
    /// Of single-precision sums over 37 tokens.
    private static let tolerance = 1e-5

    struct Fixture: Decodable {
        struct Case: Decodable {
            let loss: String
            let beta: Double
            let temperature: Float
            let topK: Int?
            let value: Double
            let gradient: [Float]

            var divergence: Divergence {
                switch loss {
                case "kl": .forward
                case "reverse_kl": .reverse
                default: .jensenShannon(beta: beta)
                }
            }
        }

        let rows: Int
        let vocabulary: Int
        let student: [Float]
        let teacher: [Float]
        let cases: [Case]

        static func load() throws -> Fixture {
            let folder = try #require(Bundle.module.resourceURL).appending(path: "Fixtures")
            let json = try Data(contentsOf: folder.appending(path: "divergences.json"))
            return try JSONDecoder().decode(Fixture.self, from: json)
        }
    }

    @Test func equalsPyTorch() throws {
        let fixture = try Fixture.load()
        let cases = fixture.cases.filter { $0.topK == nil }
        #expect(cases.count == 8)
        for test in cases {
            var (student, teacher) = (fixture.student, fixture.teacher)
            let sum = LossKernels.divergence(
                test.divergence,
                student: &student,
                teacher: &teacher,
                rows: fixture.rows,
                vocabularySize: fixture.vocabulary,
                temperature: test.temperature,
                gradientScale: 1
            )
            #expect(abs(sum.loss - test.value) <= Self.tolerance * test.value, "\(test.divergence)")
            #expect(sum.rows == fixture.rows)
            #expect(
                relativeError(student, test.gradient) <= Self.tolerance,
                "\(test.divergence) at \(test.temperature)"
            )
        }
    }

    /// On a teacher's most likely tokens and the rest as one; of all tokens, the divergence itself.
    @Test func mostLikelyTokensEqualPyTorch() throws {
        let fixture = try Fixture.load()
        let cases = fixture.cases.filter { $0.topK != nil }
        #expect(cases.count == 24)
        for test in cases {
            let count = try #require(test.topK)
            let (sum, gradient) = Self.top(test.divergence, fixture, count, test.temperature)
            let label: Comment = "\(test.divergence) of \(count) at \(test.temperature)"
            #expect(abs(sum.loss - test.value) <= Self.tolerance * max(test.value, 0.1), label)
            #expect(sum.rows == fixture.rows)
            #expect(relativeError(gradient, test.gradient) <= Self.tolerance, label)
        }
        let whole = cases.filter { $0.topK == fixture.vocabulary }
        let plain = fixture.cases.filter { $0.topK == nil }
        for (a, b) in zip(whole, plain) {
            #expect(abs(a.value - b.value) <= 1e-12 && a.divergence == b.divergence)
        }
    }

    private static func top(
        _ divergence: Divergence,
        _ fixture: Fixture,
        _ count: Int,
        _ temperature: Float
    ) -> (sum: LossSum, gradient: [Float]) {
        let width = fixture.vocabulary
        var (student, teacher) = (fixture.student, fixture.teacher)
        var tokens = [Int32](repeating: -1, count: fixture.rows * count)
        var values = [Float](repeating: .nan, count: fixture.rows * (count + 1))
        TopOutcomes.find(
            logits: &teacher,
            tokens: &tokens,
            values: &values,
            rows: fixture.rows,
            vocabularySize: width,
            count: count,
            temperature: temperature
        )
        let sum = TopOutcomes.divergence(
            divergence,
            student: &student,
            teacher: .init(tokens: tokens, values: values, count: count),
            rows: fixture.rows,
            vocabularySize: width,
            temperature: temperature,
            gradientScale: 1
        )
        return (sum, student)
    }

    /// By hand: of 1, 3, 2, 3 the largest two are the second and the fourth, in this order.
    @Test func mostLikelyTokensComeInOrder() {
        var logits: [Float] = [1, 3, 2, 3]
        var tokens: [Int32] = [9, 9]
        var values: [Float] = [9, 9, 9]
        TopOutcomes.find(
            logits: &logits,
            tokens: &tokens,
            values: &values,
            rows: 1,
            vocabularySize: 4,
            count: 2,
            temperature: 1
        )
        #expect(tokens == [1, 3])
        let total = exp(1.0) + 2 * exp(3) + exp(2)
        let expected = [3 - log(total), 3 - log(total), log((exp(1.0) + exp(2)) / total)]
        #expect(relativeError(values, expected.map { Float($0) }) <= 1e-6)
    }

    /// A gradient is what the loss does when a logit moves; in single precision, to its fourth digit.
    @Test(arguments: [.forward, .reverse, .jensenShannon(beta: 0.2)] as [Divergence])
    func gradientIsThatOfTheLoss(divergence: Divergence) throws {
        let fixture = try Fixture.load()
        let width = fixture.vocabulary
        func run(_ logits: [Float]) -> (loss: Double, gradient: [Float]) {
            var (student, teacher) = (logits, fixture.teacher)
            let loss = LossKernels.divergence(
                divergence,
                student: &student,
                teacher: &teacher,
                rows: 1,
                vocabularySize: width,
                temperature: 1.5,
                gradientScale: 1
            ).loss
            return (loss, student)
        }
        let logits = Array(fixture.student[..<width])
        let differences = logits.indices.map { index in
            var (up, down) = (logits, logits)
            up[index] += 0.02
            down[index] -= 0.02
            return Float((run(up).loss - run(down).loss) / Double(up[index] - down[index]))
        }
        #expect(relativeError(run(logits).gradient, differences) <= 1e-3)
    }

    /// What a job gets that names no loss is the kernel that there was before there were others.
    @Test func forwardIsTheKernelOfKLToTheBit() throws {
        let fixture = try Fixture.load()
        var (student, teacher) = (fixture.student, fixture.teacher)
        var (sameStudent, sameTeacher) = (student, teacher)
        let found = LossKernels.divergence(
            .forward,
            student: &student,
            teacher: &teacher,
            rows: fixture.rows,
            vocabularySize: fixture.vocabulary,
            temperature: 2,
            gradientScale: 0.1
        )
        let loss = KernelTwin.klDivergence(
            student: &sameStudent,
            teacher: &sameTeacher,
            rows: fixture.rows,
            temperature: 2,
            gradientScale: 0.1
        )
        #expect(found.loss == loss && student == sameStudent && teacher == sameTeacher)
    }

    /// Nothing that is far from the other distribution becomes NaN: probabilities underflow here.
    @Test(arguments: [.reverse, .jensenShannon(beta: 0.5)] as [Divergence])
    func distributionsApartStayFinite(divergence: Divergence) {
        for reversed in [false, true] {
            var student: [Float] = [400, -300, 0, 1, 2, 3, 4, 5, 6, 7]
            var teacher: [Float] = [-400, 300, 1, 0, 2, 3, 4, 5, 6, 7]
            if reversed { swap(&student, &teacher) }
            let sum = LossKernels.divergence(
                divergence,
                student: &student,
                teacher: &teacher,
                rows: 1,
                vocabularySize: 10,
                temperature: 1,
                gradientScale: 1
            )
            #expect(sum.loss.isFinite && student.allSatisfy(\.isFinite))
            if divergence != .reverse { #expect(abs(sum.loss - log(2)) <= 1e-6) }
        }
    }

    /// Of equal distributions nothing is left, in loss and gradient.
    @Test(arguments: [.forward, .reverse, .jensenShannon(beta: 0.5)] as [Divergence])
    func equalDistributionsDoNotDiverge(divergence: Divergence) throws {
        let fixture = try Fixture.load()
        var (student, teacher) = (fixture.student, fixture.student)
        let sum = LossKernels.divergence(
            divergence,
            student: &student,
            teacher: &teacher,
            rows: fixture.rows,
            vocabularySize: fixture.vocabulary,
            temperature: 1,
            gradientScale: 1
        )
        #expect(abs(sum.loss) <= 1e-6 && sum.correct == fixture.rows)
        #expect(student.allSatisfy { abs($0) <= 1e-6 })
    }

    /// By hand: rows (3, 4) and (0, 0) from (0, 5) and (0, 0): (9 + 1) / 25, and nothing.
    @Test func hiddenErrorIsRelative() {
        var gradient: [Float] = [7, 7, 7, 7]
        let sum = LossKernels.hiddenError(
            student: [3, 4, 1, 1],
            teacher: [0, 5, 0, 0],
            gradient: &gradient,
            rows: 2,
            width: 2,
            gradientScale: 0.5
        )
        #expect(abs(sum.loss - 0.4) <= 1e-12 && sum.rows == 2)
        #expect(relativeError(gradient, [0.12, -0.04, 0, 0]) <= 1e-6)
    }

    @Test func hiddenGradientIsThatOfTheError() throws {
        let fixture = try Fixture.load()
        let width = fixture.vocabulary
        func run(_ states: [Float]) -> (loss: Double, gradient: [Float]) {
            var gradient = states
            let loss = LossKernels.hiddenError(
                student: states,
                teacher: fixture.teacher,
                gradient: &gradient,
                rows: 1,
                width: width,
                gradientScale: 1
            ).loss
            return (loss, gradient)
        }
        let states = Array(fixture.student[..<width])
        let differences = states.indices.map { index in
            var (up, down) = (states, states)
            up[index] += 0.125
            down[index] -= 0.125
            return Float((run(up).loss - run(down).loss) / Double(up[index] - down[index]))
        }
        #expect(relativeError(run(states).gradient, differences) <= 1e-5)
    }
}
