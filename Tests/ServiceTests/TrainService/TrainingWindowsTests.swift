internal import Foundation
internal import JobSpecs
internal import ModelFiles
internal import ServiceKit
internal import Synchronization
internal import Testing
internal import Transformer

@testable internal import TrainService
@testable internal import qat_client

/// The windows of a training, step by step.
@Suite struct TrainingWindowsTests {
    private static let length = 8

    /// Documents of 1 … 30 tokens, 465 together; each token is the number of those before it.
    private static func documents(_ folder: TemporaryHome) throws -> CorpusDocuments {
        let prefix = folder.home.path + "/c"
        let writer = try CorpusWriter(prefix: prefix, vocabularySize: 1000)
        var next: Int32 = 0
        for count in 1...30 {
            try writer.append((0..<Int32(count)).map { next + $0 })
            next += Int32(count)
        }
        try writer.commit()
        return try CorpusDocuments([IndexedCorpus(path: prefix)])
    }

    private static func plan(_ data: String, steps: Int) throws -> TrainingPlan {
        let text = """
            {"model": "m", "quantization": {"algorithm": "mxfp4"},
             "trainer": {"max_steps": \(steps), "max_epochs": 99, "micro_batch_size": 2,
                         "accumulate_grad_batches": 2},
             "data": {"train": ["c"], "data_impl": "mmap", "seq_length": \(length)\(data)}}
            """
        let job = try JobSpec.parse(kind: "train", json: Array(text.utf8))
        guard case .train(let spec) = job else {
            throw CocoaError(.coderReadCorrupt)
        }
        return TrainingPlan(spec, warnings: [], specText: text, trainTokenCount: 465)
    }

    private static func read(
        _ windows: any TrainingWindows,
        steps: Range<Int>,
        threads: Int
    ) throws -> [[Int32]] {
        let reader = WindowReader(
            windows,
            perStep: 4,
            length: length,
            steps: steps,
            threads: threads
        )
        return try steps.map { _ in
            Array(UnsafeBufferPointer(start: try reader.read(), count: 4 * length))
        }
    }

    /// Any number of threads, and a run that begins in the middle, have the same windows.
    @Test(arguments: ["single", "cyclic"])
    func windowsDependOnTheStepAlone(loader: String) throws {
        let folder = try TemporaryHome()
        let documents = try Self.documents(folder)
        let plan = try Self.plan(#", "dataloader_type": "\#(loader)""#, steps: 40)
        #expect(plan.totalSteps == 40)
        let windows = try CorpusWindows(documents, plan, vocabularySize: 1000)
        let expected = try Self.read(windows, steps: 0..<40, threads: 0)
        for threads in [1, 2, 3, 16, 64] {
            #expect(try Self.read(windows, steps: 0..<40, threads: threads) == expected)
        }
        for start in [1, 13, 14, 15, 39, 40] {
            let again = try CorpusWindows(documents, plan, vocabularySize: 1000)
            let rest = try Self.read(again, steps: start..<40, threads: 2)
            #expect(rest == Array(expected[start...]))
        }
    }

    /// 58 windows of 465 tokens: 29 micro-batches of two, which come in another order each epoch.
    @Test func cyclesHaveTheSameWindowsEachEpoch() throws {
        let folder = try TemporaryHome()
        let plan = try Self.plan(#", "dataloader_type": "cyclic""#, steps: 29)
        let windows = try CorpusWindows(Self.documents(folder), plan, vocabularySize: 1000)
        let all = try Self.read(windows, steps: 0..<29, threads: 0).flatMap { step in
            (0..<4).map { Array(step[$0 * Self.length..<($0 + 1) * Self.length]) }
        }
        let (first, second) = (all[..<58], all[58...])
        #expect(first != second)
        #expect(Set(first).count == 58 && Set(first) == Set(second))
    }

    /// Once through: every token of every document, each as often as there are epochs, but for those at the
    /// end that fill no window.
    @Test func oneRunReadsEachDocumentInItsTurn() throws {
        let folder = try TemporaryHome()
        let plan = try Self.plan("", steps: 14)
        let windows = try CorpusWindows(Self.documents(folder), plan, vocabularySize: 1000)
        let tokens = try Self.read(windows, steps: 0..<14, threads: 3).flatMap(\.self)
        #expect(Set(tokens).count == tokens.count && tokens.count == 448)
        // A document's tokens stand behind each other wherever a window does not cut them.
        let follows = zip(tokens, tokens.dropFirst()).filter { $0 + 1 == $1 }.count
        #expect(follows > 300)
    }

    @Test func whatCannotBeReadIsSaidWhereItIsRead() throws {
        let folder = try TemporaryHome()
        let plan = try Self.plan("", steps: 14)
        let windows = try CorpusWindows(Self.documents(folder), plan, vocabularySize: 400)
        for threads in [0, 3] {
            let error = #expect(throws: ModelFileError.self) {
                try Self.read(windows, steps: 0..<14, threads: threads)
            }
            #expect(error?.message.contains("outside of the model's vocabulary of 400") == true)
        }
    }

    /// A reader that goes before its run ends takes its threads with it.
    @Test func threadsEndWithTheReader() throws {
        final class Slow: TrainingWindows {
            let count = Atomic<Int>(0)

            func copy(step: Int, count: Int, to batch: UnsafeMutablePointer<Int32>) {
                self.count.add(1, ordering: .relaxed)
                batch.pointee = Int32(step)
            }
        }
        let slow = Slow()
        do {
            let reader = WindowReader(slow, perStep: 1, length: 2, steps: 5..<1000, threads: 3)
            #expect(try reader.read().pointee == 5)
            #expect(try reader.read().pointee == 6)
        }
        let read = slow.count.load(ordering: .relaxed)
        // The one at hand, and three ahead of it.
        #expect((2...5).contains(read))
        #expect(slow.count.load(ordering: .relaxed) == read)
    }

    @Test func aTextsWindowsAreTheSamplers() throws {
        let tokens = (0..<100).map { Int32($0) }
        let texts = TrainingTexts(training: tokens, parts: nil, validation: nil, isMarked: false)
        #expect(texts.validation.count == 100 && texts.training.count == 100)
        let windows = try texts.windows(Self.plan("", steps: 3))
        var expected = [Int32](repeating: 0, count: 32)
        let sampler = try WindowSampler(seed: 1234, tokenCount: 100, length: 8)
        tokens.withUnsafeBufferPointer { buffer in
            sampler.fill(&expected, count: 4, step: 2, from: buffer)
        }
        #expect(try Self.read(windows, steps: 2..<3, threads: 1) == [expected])
    }
}
