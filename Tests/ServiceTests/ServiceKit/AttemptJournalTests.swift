internal import Protocol
internal import Testing

@testable internal import ServiceKit

struct AttemptJournalTests {
    private func progress(_ step: Int, loss: Double? = nil) -> ComputeEvent {
        var event = ComputeEvent(.progress)
        event.step = step
        event.totalSteps = 100_000
        event.loss = loss
        event.phase = loss == nil ? "load" : "train"
        return event
    }

    private func steps(_ journal: AttemptJournal) -> [UInt64] {
        journal.pendingEvents().compactMap { $0.progress?.step }
    }

    @Test func trainingStepsAreKeptAndOtherProgressCollapses() {
        let journal = AttemptJournal(jobID: "j")
        for step in 1...3 { journal.append(progress(step)) }
        #expect(steps(journal) == [3])
        journal.confirm(through: 3)
        for step in 1...3 { journal.append(progress(step, loss: 1)) }
        #expect(steps(journal) == [1, 2, 3])
    }

    @Test func whatAHeartbeatCarriesIsNotReplacedUnderIt() {
        let journal = AttemptJournal(jobID: "j")
        journal.append(progress(1))
        let sent = journal.pendingEvents()
        journal.append(progress(2))
        journal.confirm(through: sent.last?.seq ?? 0)
        #expect(steps(journal) == [2])
        // A heartbeat that failed is followed by the newest of its phase.
        journal.append(progress(3))
        #expect(steps(journal) == [3])
    }

    /// The periodic heartbeat and the last one of an attempt may carry the same events.
    @Test func twoHeartbeatsWithTheSameEventsForgetNoOthers() {
        let journal = AttemptJournal(jobID: "j")
        for step in 1...200 { journal.append(progress(step, loss: 1)) }
        let (periodic, last) = (journal.pendingEvents(), journal.pendingEvents())
        journal.confirm(through: periodic.last?.seq ?? 0)
        journal.confirm(through: last.last?.seq ?? 0)
        #expect(steps(journal).first == 65)
        journal.appendLog("one")
        journal.appendLog("two")
        #expect(journal.pendingLog()?.bytes == [])
        for _ in 1...2 { journal.settleLog(sentAt: 0, byteCount: 0, nextOffset: 0) }
        for _ in 1...2 { journal.settleLog(sentAt: 0, byteCount: 4, nextOffset: 4) }
        #expect(journal.pendingLog()?.offset == 4)
        #expect(journal.pendingLog()?.bytes == Array("two\n".utf8))
    }

    @Test func whileTheGatewayIsAwayTheOldestProgressIsGivenUpFirst() {
        let journal = AttemptJournal(jobID: "j")
        var line = ComputeEvent(.log)
        line.message = "loaded"
        journal.append(line)
        for step in 1...2_000 { journal.append(progress(step, loss: 1)) }
        var all: [JobEvent] = []
        while case let batch = journal.pendingEvents(), !batch.isEmpty {
            #expect(batch.count <= 64)
            all += batch
            journal.confirm(through: batch.last?.seq ?? 0)
        }
        let kept = all.filter { $0.type == .progress }.count
        #expect(all.first?.message == "loaded")
        #expect(all.contains { $0.progress?.step == 2_000 })
        // docs/JOBS.md, News: one line says how many were not kept.
        let remarks = all.filter { $0.message.contains("were left out") }
        #expect(remarks.count == 1)
        #expect(remarks.first?.message.contains("\(2_000 - kept) events were left out") == true)
        #expect(all.map(\.seq) == Set(all.map(\.seq)).sorted())
        #expect(all.count == 513)
        // The next outage counts anew.
        journal.append(progress(2_001, loss: 1))
        #expect(journal.pendingEvents().count == 1)
        journal.confirm(through: .max)
        #expect(journal.pendingEvents().isEmpty)
    }

    @Test func logBytesGoOutInOrderFromWhereTheGatewayIs() {
        let journal = AttemptJournal(jobID: "j")
        journal.appendLog("one")
        // An earlier attempt wrote 100 bytes; seen: as many as the first piece has, and it was lost.
        journal.settleLog(sentAt: 0, byteCount: 0, nextOffset: 100)
        let first = journal.pendingLog()
        #expect(first?.offset == 100 && first?.bytes == Array("one\n".utf8))
        journal.appendLog("two")
        journal.settleLog(sentAt: 100, byteCount: 4, nextOffset: 104)
        let second = journal.pendingLog()
        #expect(second?.offset == 104 && second?.bytes == Array("two\n".utf8))
        journal.settleLog(sentAt: 104, byteCount: 4, nextOffset: 108)
        #expect(journal.pendingLog() == nil)
    }

    /// Metrics of a training as the traind prints them: an object of about 170 bytes per layer.
    private func metrics(_ step: Int, layers: Int) -> ComputeEvent {
        var event = ComputeEvent(.metric)
        event.step = step
        let layer = String(repeating: "m", count: 160)
        let fields = (0..<layers).map { "\"layer.\($0)\":\"\(layer)\"" }
        event.json = "{" + fields.joined(separator: ",") + "}"
        return event
    }

    /// A message on the wire has 262,144 bytes at most, as docs/PROTOCOL.md says; seen was one of 1,142,776:
    /// seven linear layers in each of 30 decoder layers.
    @Test func aHeartbeatAfterALongOutageFitsTheWire() throws {
        let journal = AttemptJournal(jobID: "j")
        for step in 1...40 {
            journal.append(progress(step, loss: 1))
            journal.append(metrics(step, layers: 210))
        }
        var steps: [UInt64] = []
        while case let batch = journal.pendingEvents(), !batch.isEmpty {
            let request = HeartbeatRequest(
                jobID: "j",
                instance: String(repeating: "i", count: 128),
                bootID: "b",
                events: batch,
                runningPhase: journal.phase
            )
            #expect(try request.encoded().count <= 262_144)
            // Seven of the 37 kB fit, the losses between them are small: no more calls than needed.
            #expect(batch.count >= 10 || journal.isBehind == false)
            steps += batch.filter { $0.type == .metric }.compactMap(\.progress?.step)
            journal.confirm(through: batch.last?.seq ?? 0)
        }
        #expect(steps == Array(1...40))
    }

    /// The gateway keeps 65,536 bytes of metrics (docs/JOBS.md) and sentences; what is longer is said so.
    @Test func whatIsTooLongForOneHeartbeatIsShortened() throws {
        let journal = AttemptJournal(jobID: "j")
        journal.append(metrics(7, layers: 7_000))
        var line = ComputeEvent(.log)
        // A single character of 600,000 bytes: cut by characters, it would stay.
        line.message = "e" + String(repeating: "\u{301}", count: 300_000)
        line.phase = line.message
        journal.append(line)
        let events = journal.pendingEvents()
        #expect(events.map(\.type) == [.log, .log])
        #expect(events[0].progress?.step == 7 && events[0].message.contains("65536"))
        let request = HeartbeatRequest(jobID: "j", events: events, runningPhase: journal.phase)
        #expect(try request.encoded().count < 16_384)
    }

    @Test func refusedEventsAreTriedOneByOneAndOneAloneIsSaid() {
        let journal = AttemptJournal(jobID: "j")
        for step in 1...3 { journal.append(progress(step, loss: 1)) }
        journal.refuse(journal.pendingEvents(), because: "no")
        #expect(steps(journal) == [1])
        journal.confirm(through: 1)
        #expect(steps(journal) == [2])
        journal.refuse(journal.pendingEvents(), because: "no such thing")
        let remark = journal.pendingEvents()
        #expect(remark.map(\.type) == [.log] && remark[0].message.contains("no such thing"))
        #expect(remark[0].seq == 2)
        // Not even that: it goes, and what follows is sent, together again with what came since.
        journal.refuse(remark, because: "no")
        #expect(steps(journal) == [3])
        journal.confirm(through: 3)
        for step in 4...6 { journal.append(progress(step, loss: 1)) }
        #expect(steps(journal) == [4, 5, 6])
    }
}
