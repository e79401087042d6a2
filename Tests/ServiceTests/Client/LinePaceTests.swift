internal import Protocol
internal import Testing

@testable internal import qat_client

/// Which events get a line in files and pipes.
@Suite struct LinePaceTests {
    /// Seen: figures of two formats that come at once were one kind, so that a log had those of the first alone.
    @Test func eachFormatsFiguresAreOfAKind() {
        func metric(_ format: String?, loss: Double, at seconds: Int64) -> JobEvent {
            let member = format.map { "\"format\": \"\($0)\", " } ?? ""
            var event = JobEvent(
                type: .metric,
                metricsJSON: Array("{\(member)\"loss\": \(loss)}".utf8)
            )
            event.timeUnixMs = seconds * 1000
            return event
        }
        var pace = LinePace()
        let admitted = [
            metric("mxfp8", loss: 2, at: 1), metric("mxfp4", loss: 3, at: 1),
            metric("mxfp8", loss: 2, at: 2), metric("mxfp4", loss: 3, at: 2),
            metric(nil, loss: 3, at: 2), metric(nil, loss: 3, at: 3),
            metric("mxfp4", loss: 3, at: 11),
        ].map { pace.admits($0) }
        #expect(admitted == [true, true, false, false, true, false, true])
    }
}
