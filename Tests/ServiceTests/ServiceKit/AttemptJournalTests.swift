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
        #expect(all.count == 512)
        #expect(all.first?.message == "loaded")
        #expect(all.last?.progress?.step == 2_000)
    }

    @Test func logBytesGoOutInOrderFromWhereTheGatewayIs() {
        let journal = AttemptJournal(jobID: "j")
        journal.appendLog("one")
        // An earlier attempt wrote 100 bytes.
        journal.settleLog(sentAt: 0, byteCount: 4, nextOffset: 100)
        let first = journal.pendingLog()
        #expect(first?.offset == 100 && first?.bytes == Array("one\n".utf8))
        journal.appendLog("two")
        journal.settleLog(sentAt: 100, byteCount: 4, nextOffset: 104)
        let second = journal.pendingLog()
        #expect(second?.offset == 104 && second?.bytes == Array("two\n".utf8))
        journal.settleLog(sentAt: 104, byteCount: 4, nextOffset: 108)
        #expect(journal.pendingLog() == nil)
    }
}
