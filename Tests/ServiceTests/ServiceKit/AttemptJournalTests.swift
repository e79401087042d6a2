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
        journal.confirm(eventCount: 1)
        for step in 1...3 { journal.append(progress(step, loss: 1)) }
        #expect(steps(journal) == [1, 2, 3])
    }

    @Test func whatAHeartbeatCarriesIsNotReplacedUnderIt() {
        let journal = AttemptJournal(jobID: "j")
        journal.append(progress(1))
        let sent = journal.pendingEvents()
        journal.append(progress(2))
        journal.confirm(eventCount: sent.count)
        #expect(steps(journal) == [2])
        // A heartbeat that failed is sent again, with what came since.
        journal.append(progress(3))
        #expect(steps(journal) == [2, 3])
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
            journal.confirm(eventCount: batch.count)
        }
        #expect(all.count == 512)
        #expect(all.first?.message == "loaded")
        #expect(all.last?.progress?.step == 2_000)
    }

    @Test func logBytesGoOutInOrderFromWhereTheGatewayIs() {
        let journal = AttemptJournal(jobID: "j")
        journal.moveLog(to: 100)
        journal.appendLog("one")
        let first = journal.pendingLog()
        #expect(first?.offset == 100 && first?.bytes == Array("one\n".utf8))
        journal.appendLog("two")
        journal.confirmLog(byteCount: 4, nextOffset: 104)
        let second = journal.pendingLog()
        #expect(second?.offset == 104 && second?.bytes == Array("two\n".utf8))
        journal.confirmLog(byteCount: 4, nextOffset: 108)
        #expect(journal.pendingLog() == nil)
    }
}
