public import ModelFiles
public import Transformer

/// Writes texts behind prompts, many at a time: continuous batching over pages of keys and values.
///
/// Each ``step(at:)`` runs one pass over some tokens of some texts and tells what became known. A text is
/// the same alone and among others where the model's products allow (``BatchDecoder``). The clock is its
/// caller's. Not for concurrent use.
public final class InferenceEngine {
    /// What an engine does and has, in numbers.
    public struct Load: Sendable, Equatable {
        /// Texts that are being written or read.
        public var running = 0
        /// Texts that wait for a place.
        public var waiting = 0
        /// Pages of the cache that are in use.
        public var usedPages = 0
        /// Pages of the cache.
        public var pages = 0
        /// Tokens of prompts that a pass has read, not those that a known beginning saved.
        public var promptTokens = 0
        /// Tokens that were drawn.
        public var drawnTokens = 0
        /// Tokens of prompts whose computation a known beginning saved.
        public var reusedTokens = 0
        /// Times that a text gave its pages back for another.
        public var preemptions = 0
        /// Passes.
        public var passes = 0
    }

    private struct Text {
        let request: GenerationRequest
        var sampler: Sampler
        var stream: TokenStream
        var stops: StopStrings
        var drawn = 0
    }

    private let decoder: BatchDecoder
    private let tokenizer: Tokenizer
    private let endTokens: Set<Int32>
    private let specialTokens: Set<Int32>
    private var scheduler: Scheduler
    private var texts: [Int: Text] = [:]
    private var nextNumber = 0
    private var batch = Batch()
    private let logits: UnsafeMutableBufferPointer<Float>
    private let work: SamplingWork
    private var counted = Load()

    /// Tokens of a prompt and its text together, at most.
    public var length: Int { decoder.limits.length }
    /// Texts that are written at the same time, at most.
    public var sequences: Int { decoder.limits.sequences }
    /// Whether there is nothing to do.
    public var isIdle: Bool { texts.isEmpty }

    /// An engine of a model, with its tokenizer.
    ///
    /// `endTokens` end a text.
    public init(decoder: BatchDecoder, tokenizer: Tokenizer, endTokens: Set<Int32>) {
        self.decoder = decoder
        self.tokenizer = tokenizer
        self.endTokens = endTokens
        specialTokens = Set(tokenizer.addedTokens.filter(\.isSpecial).map(\.id))
        let limits = decoder.limits
        scheduler = Scheduler(
            limits: .init(rows: limits.rows, sequences: limits.sequences),
            pool: PagePool(count: limits.pageCount, pageRows: limits.pageRows)
        )
        let vocabulary = decoder.configuration.vocabularySize
        logits = .allocate(capacity: vocabulary)
        work = SamplingWork(vocabularySize: vocabulary)
    }

    deinit { logits.deallocate() }

    /// What of a request cannot be served, in a sentence; nil if nothing.
    public func objection(to request: GenerationRequest) -> String? {
        let vocabulary = decoder.configuration.vocabularySize
        if request.prompt.isEmpty { return "the prompt has no tokens" }
        if let token = request.prompt.first(where: { !(0..<Int32(vocabulary)).contains($0) }) {
            return "the prompt has token \(token); there are \(vocabulary)"
        }
        if request.tokenLimit < 1 { return "max_tokens is \(request.tokenLimit), below 1" }
        if request.prompt.count >= length {
            return """
                the prompt has \(request.prompt.count) tokens; prompt and answer together have at most \
                \(length)
                """
        }
        if let count = request.alternativeCount, !(0...20).contains(count) {
            return "logprobs of \(count) tokens are asked for; at most 20"
        }
        return request.sampling.objection(vocabularySize: vocabulary)
    }

    /// Takes a request; returns its number.
    ///
    /// - Precondition: ``objection(to:)`` has none.
    public func add(_ request: GenerationRequest) -> Int {
        precondition(objection(to: request) == nil, "a request that cannot be served")
        let number = nextNumber
        nextNumber += 1
        texts[number] = Text(
            request: request,
            sampler: Sampler(
                request.sampling,
                prompt: request.prompt,
                alternativeCount: request.alternativeCount
            ),
            stream: TokenStream(
                tokenizer,
                specialTokens: specialTokens,
                prompt: request.prompt
            ),
            stops: StopStrings(request.stops)
        )
        scheduler.add(number, tokens: request.prompt)
        return number
    }

    /// Ends a text that nobody waits for; nothing more is told of it.
    public func cancel(_ number: Int) {
        scheduler.remove(number)
        texts[number] = nil
    }

    /// Runs a pass, if there is something to compute, and tells what became known.
    public func step(at time: Duration) -> [GenerationEvent] {
        var events = expire(at: time)
        let shares = scheduler.plan()
        guard !shares.isEmpty else { return events }
        batch.removeAll()
        var asked: [(text: Int, logits: Int)] = []
        for share in shares {
            for (index, page) in share.newPages {
                decoder.setPage(page, at: index, of: share.place)
            }
            let place = batch.append(
                scheduler.tokens(share),
                at: share.tokens.lowerBound,
                of: share.place,
                wantsLogits: share.isLast
            )
            if let place { asked.append((share.text, place)) }
        }
        decoder.run(batch)
        scheduler.finish(shares)
        counted.passes += 1
        counted.promptTokens += batch.tokens.count - asked.count
        for (number, index) in asked {
            if let start = logits.baseAddress { decoder.logits(index, into: start) }
            if let event = draw(number) { events.append(event) }
        }
        return events
    }

    /// What it does now, and did so far.
    public var load: Load {
        var load = counted
        load.running = scheduler.runningCount
        load.waiting = scheduler.waitingCount
        load.pages = scheduler.pool.count
        load.usedPages = scheduler.pool.count - scheduler.pool.availableCount
        load.reusedTokens = scheduler.reusedTokenCount
        load.preemptions = scheduler.preemptionCount
        return load
    }

    private func expire(at time: Duration) -> [GenerationEvent] {
        texts.filter { $0.value.request.deadline.map { $0 <= time } ?? false }.keys.sorted()
            .compactMap { end($0, .deadline, text: "", token: nil) }
    }

    /// Draws a text's next token from ``logits``.
    private func draw(_ number: Int) -> GenerationEvent? {
        guard let drawn = texts[number]?.sampler.draw(logits, work) else {
            return end(number, .nonFinite, text: "", token: nil)
        }
        counted.drawnTokens += 1
        guard var text = texts[number] else { return nil }
        text.drawn += 1
        let request = text.request
        if request.endsAtEndTokens, endTokens.contains(drawn.token) {
            texts[number] = text
            return end(number, .stop, text: "", token: drawn)
        }
        let (told, stop) = text.stops.take(text.stream.take(drawn.token))
        texts[number] = text
        if stop != nil { return end(number, .stop, text: told, token: drawn, stop: stop) }
        if text.drawn == request.tokenLimit || request.prompt.count + text.drawn == length {
            return end(number, .length, text: told, token: drawn)
        }
        scheduler.append(drawn.token, to: number)
        return GenerationEvent(request: number, text: told, token: drawn, finish: nil, stop: nil)
    }

    /// Ends a text; what was held back of it follows `text`, unless a string ended it.
    private func end(
        _ number: Int,
        _ reason: FinishReason,
        text told: String,
        token: SampledToken?,
        stop: String? = nil
    ) -> GenerationEvent? {
        guard var text = texts.removeValue(forKey: number) else { return nil }
        scheduler.remove(number)
        var (told, reason, stop) = (told, reason, stop)
        if stop == nil {
            let (rest, found) = text.stops.take(text.stream.finish())
            told += rest
            // A string may have ended with what was no whole character before.
            if found != nil { (stop, reason) = (found, .stop) } else { told += text.stops.finish() }
        }
        return GenerationEvent(
            request: number,
            text: told,
            token: token,
            finish: reason,
            stop: stop
        )
    }
}
