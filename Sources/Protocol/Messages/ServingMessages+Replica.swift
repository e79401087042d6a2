internal import CWire
public import Serving

/// A replica is ready, and takes requests as long as the call lasts.
public struct TakeRequestsRequest: WireMessage, Equatable {
    /// The serve job.
    public var jobID: String
    /// The lease's epoch.
    public var epoch: UInt64
    /// The worker.
    public var instance: String
    /// Its boot.
    public var bootID: String
    /// Texts at once.
    public var slots: UInt32
    /// Tokens of prompt and answer together.
    public var length: UInt32

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        epoch: UInt64 = 0,
        instance: String = "",
        bootID: String = "",
        slots: UInt32 = 0,
        length: UInt32 = 0
    ) {
        self.jobID = jobID
        self.epoch = epoch
        self.instance = instance
        self.bootID = bootID
        self.slots = slots
        self.length = length
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_take_requests_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        epoch = reader.uint64(2)
        instance = try reader.text(3)
        bootID = try reader.text(4)
        slots = reader.uint32(5)
        length = reader.uint32(6)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, epoch)
        writer.set(3, instance)
        writer.set(4, bootID)
        writer.set(5, slots)
        writer.set(6, length)
    }
}

extension ReplicaOrder: WireMessage {
    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_replica_order())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        self.init(
            try reader.enumeration(1),
            number: reader.uint64(2),
            request: try reader.message(3)
        )
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, action)
        writer.set(2, number)
        writer.set(3, request)
    }
}

extension ReplicaAnswer: WireMessage {
    private enum Kind: UInt32, CaseIterable {
        case answer = 1
        case tokens, over, invalid, draining, failed
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_replica_answer())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        let kind: Kind = try reader.enumeration(2)
        func refused(_ reason: ReplicaRefusal.Reason) throws -> Content {
            .refused(ReplicaRefusal(reason, try reader.text(5)))
        }
        let content: Content
        switch kind {
        case .answer:
            guard let answer: TextAnswer = try reader.message(3) else {
                throw RPCError(.invalidArgument, "ReplicaAnswer.answer is missing")
            }
            content = .answer(answer)
        case .tokens: content = .tokens(try TokenBytes.decode(reader.bytes(4)))
        case .over: content = .over
        case .invalid: content = try refused(.invalid)
        case .draining: content = try refused(.draining)
        case .failed: content = try refused(.failed)
        }
        self.init(reader.uint64(1), content)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, number)
        switch content {
        case .answer(let answer):
            writer.set(2, Kind.answer)
            writer.set(3, answer)
        case .tokens(let tokens):
            writer.set(2, Kind.tokens)
            writer.set(4, TokenBytes.encode(tokens))
        case .over: writer.set(2, Kind.over)
        case .refused(let refusal):
            switch refusal.reason {
            case .invalid: writer.set(2, Kind.invalid)
            case .draining: writer.set(2, Kind.draining)
            case .failed: writer.set(2, Kind.failed)
            }
            writer.set(5, refusal.message.replacing("\0", with: "\u{FFFD}"))
        }
    }
}

extension ReplicaReport: WireMessage {
    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_replica_report())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        func count(_ number: UInt32) -> Int { Int(clamping: reader.uint64(number)) }
        self.init()
        isDraining = reader.bool(1)
        load.running = count(2)
        load.waiting = count(3)
        load.usedPages = count(4)
        load.pages = count(5)
        load.promptTokens = count(6)
        load.reusedTokens = count(7)
        load.drawnTokens = count(8)
        load.preemptions = count(9)
        load.passes = count(10)
        load.texts = count(11)
        probe.timeUnixMs = reader.int64(12)
        probe.isHealthy = reader.bool(13)
        probe.seconds = reader.double(14)
        probe.message = try reader.text(15)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, isDraining)
        let counts = [
            load.running, load.waiting, load.usedPages, load.pages, load.promptTokens,
            load.reusedTokens, load.drawnTokens, load.preemptions, load.passes, load.texts,
        ]
        for (index, count) in counts.enumerated() {
            writer.set(UInt32(index + 2), UInt64(clamping: count))
        }
        writer.set(12, probe.timeUnixMs)
        writer.set(13, probe.isHealthy)
        writer.set(14, probe.seconds)
        writer.set(15, probe.message)
    }
}

/// Tells what replicas answer.
public struct TellAnswersRequest: WireMessage, Equatable {
    /// The serve job.
    public var jobID: String
    /// The lease's epoch.
    public var epoch: UInt64
    /// The worker's boot.
    public var bootID: String
    /// In order.
    public var answers: [ReplicaAnswer]
    /// How the replica stands, if that is told.
    public var report: ReplicaReport?

    /// Makes a message; every field has its wire default.
    public init(
        jobID: String = "",
        epoch: UInt64 = 0,
        bootID: String = "",
        answers: [ReplicaAnswer] = [],
        report: ReplicaReport? = nil
    ) {
        self.jobID = jobID
        self.epoch = epoch
        self.bootID = bootID
        self.answers = answers
        self.report = report
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_tell_answers_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        jobID = try reader.text(1)
        epoch = reader.uint64(2)
        bootID = try reader.text(3)
        answers = try reader.messages(4)
        report = try reader.message(5)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, jobID)
        writer.set(2, epoch)
        writer.set(3, bootID)
        writer.set(4, answers)
        writer.set(5, report)
    }
}

/// Whether answers were taken.
public struct TellAnswersResponse: WireMessage, Equatable {
    /// False when this replica takes no requests as the gateway sees it.
    public var accepted: Bool

    /// Makes a message; every field has its wire default.
    public init(accepted: Bool = false) {
        self.accepted = accepted
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_tell_answers_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        accepted = reader.bool(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, accepted)
    }
}
