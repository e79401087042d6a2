internal import Foundation
internal import Inference
internal import Jobs
internal import Serving
internal import ServiceKit

/// Answers requests until it is told to end, in one thread: orders, a pass of the engine, news.
final class ReplicaLoop {
    /// Time between two looks at whether it is to end, while nothing else is to be done.
    private static let patience = Duration.milliseconds(200)
    /// Time between two reports while it works, and while it does not.
    private static let reportInterval = (busy: Duration.seconds(1), idle: Duration.seconds(5))
    /// Time between two lines of progress.
    private static let progressInterval = Duration.seconds(5)

    private let model: LoadedEngine
    private let capacity: ReplicaCapacity
    private let reporter: ComputeReporter
    private let inbox: OrderInbox
    private let drainLimit: Duration
    private var engine: InferenceEngine { model.engine }
    private var desk: AnswerDesk
    private var probe: ProbePrompt
    private let start = ContinuousClock.now
    private let startUnix = Date.now.timeIntervalSince1970
    /// When it was told to end.
    private var drainStart: ContinuousClock.Instant?
    private var reported: ContinuousClock.Instant?
    private var progressed: (time: ContinuousClock.Instant, tokens: Int, phase: String)?

    /// A loop over a model that is loaded.
    ///
    /// `slots`: Texts at once. `drainLimit`: How long texts that are under way may take when it is to end.
    init(
        _ model: LoadedEngine,
        _ reader: RequestReader,
        slots: Int,
        inbox: OrderInbox,
        reporter: ComputeReporter,
        drainLimit: Duration = .seconds(StopTimes.drain)
    ) {
        self.model = model
        self.inbox = inbox
        self.reporter = reporter
        self.drainLimit = drainLimit
        capacity = ReplicaCapacity(slots: slots, length: model.engine.length)
        desk = AnswerDesk(model, reader)
        probe = ProbePrompt(model)
    }

    /// Answers one prompt of its own, and then requests.
    ///
    /// - Returns: What it did.
    /// - Throws: `ComputeFailure` if the model cannot answer its first prompt.
    func run() throws -> ServeResults {
        probe.begin(engine, at: .now)
        while probe.isRunning { step() }
        guard probe.last.isHealthy else {
            throw ComputeFailure(
                .userError,
                "$.model: the model does not answer a prompt: \(probe.last.message)"
            )
        }
        // From here on a stop waits for what is under way.
        reporter.holdWork(true)
        tell(capacity: capacity)
        while !isOver {
            for order in inbox.take(waiting: engine.isIdle ? Self.patience : nil) {
                desk.obey(order)
            }
            probe.begin(engine, at: .now)
            if !engine.isIdle { step() }
            tell()
        }
        tell()
        return results
    }

    /// Whether it was told to end and nobody waits for anything, or has waited too long.
    private var isOver: Bool {
        guard reporter.isStopRequested else { return false }
        let begun = drainStart ?? .now
        if drainStart == nil {
            drainStart = begun
            desk.isDraining = true
            reported = nil
            reporter.log("no more requests are taken; \(desk.textCount) texts are under way")
        }
        if .now - begun > drainLimit, !desk.isIdle {
            let seconds = drainLimit.components.seconds
            desk.giveUp("the replica ends, and the \(seconds) s for texts under way are over")
        }
        return desk.isIdle
    }

    private func step() {
        for event in engine.step(at: .now - start) where !desk.take(event) {
            probe.take(event, at: .now)
        }
    }

    /// Tells answers, and at times how the replica stands.
    private func tell(capacity: ReplicaCapacity? = nil) {
        let now = ContinuousClock.now
        var news = ReplicaNews(answers: desk.takeAnswers(), capacity: capacity)
        let interval = engine.isIdle ? Self.reportInterval.idle : Self.reportInterval.busy
        if capacity != nil || reported.map({ now - $0 >= interval }) ?? true {
            reported = now
            news.report = report
        }
        if !news.answers.isEmpty || news.report != nil {
            var event = ComputeEvent(.replica)
            event.replica = news
            reporter.send(event)
        }
        tellProgress(at: now)
    }

    private var report: ReplicaReport {
        var report = ReplicaReport()
        let load = engine.load
        report.isDraining = desk.isDraining
        report.load.running = load.running
        report.load.waiting = load.waiting
        report.load.usedPages = load.usedPages
        report.load.pages = load.pages
        report.load.promptTokens = load.promptTokens
        report.load.reusedTokens = load.reusedTokens
        report.load.drawnTokens = load.drawnTokens
        report.load.preemptions = load.preemptions
        report.load.passes = load.passes
        report.load.texts = desk.counts.texts
        report.probe = probe.last
        return report
    }

    /// Says in the job's progress how many texts are written, and how fast, where that has changed.
    private func tellProgress(at now: ContinuousClock.Instant) {
        let texts = desk.textCount
        let phase = "\(ServingPhase.word) \(texts) \(texts == 1 ? "text" : "texts")"
        let tokens = engine.load.drawnTokens
        guard let last = progressed else {
            progressed = (now, tokens, phase)
            return sendProgress(phase, rate: 0)
        }
        guard now - last.time >= Self.progressInterval else { return }
        let rate = Double(tokens - last.tokens) / ((now - last.time) / .seconds(1))
        // The probe's few tokens are no news.
        let isQuiet = phase == last.phase && tokens - last.tokens <= ProbePrompt.tokenLimit
        progressed = (now, tokens, phase)
        if !isQuiet { sendProgress(phase, rate: texts == 0 ? 0 : rate) }
    }

    private func sendProgress(_ phase: String, rate: Double) {
        var event = ComputeEvent(.progress)
        event.phase = phase
        event.step = desk.counts.texts
        event.totalSteps = 0
        event.tokensPerSecond = rate
        reporter.send(event)
    }

    private var results: ServeResults {
        let load = engine.load
        return ServeResults(
            requests: desk.counts.requests,
            texts: desk.counts.texts,
            promptTokens: load.promptTokens,
            reusedPromptTokens: load.reusedTokens,
            tokens: desk.counts.tokens,
            sinceUnix: Int(startUnix),
            seconds: (.now - start) / .seconds(1)
        )
    }
}

/// What a replica did, from when it was ready to its end.
struct ServeResults: Encodable {
    /// Requests that were answered to their end.
    let requests: Int
    /// Answers of theirs.
    let texts: Int
    /// Tokens of prompts that were computed, those of probes included.
    let promptTokens: Int
    /// Tokens of prompts that a known beginning saved.
    let reusedPromptTokens: Int
    /// Tokens of answers.
    let tokens: Int
    /// When it began, in seconds since 1970.
    let sinceUnix: Int
    /// How long it served, in seconds.
    let seconds: Double
}
