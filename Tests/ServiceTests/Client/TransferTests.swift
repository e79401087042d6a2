internal import Synchronization
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, Files: a terminal shows how far files have come.
@Suite struct TransferTests {
    private let line = TransferLine(
        verb: "fetching",
        done: 1_200_000_000,
        total: 2_800_000_000,
        bytesPerSecond: 85_300_000,
        file: "model.safetensors"
    )

    /// By hand: 1.2 of 2.8 is 42.8 %; 1.6 GB at 85.3 MB/s are 18.76 s.
    @Test(
        arguments: [
            (40, "fetching  1.2 GB of 2.8 GB 42%  ETA 19s"),
            (
                80,
                "fetching  ███░░░░░  1.2 GB of 2.8 GB 42%  85.3 MB/s  ETA 19s  model.safetensors"
            ),
            (
                140,
                "fetching  ██████████░░░░░░░░░░░░░░  1.2 GB of 2.8 GB 42%  85.3 MB/s  ETA 19s  model.safetensors"
            ),
        ] as [(Int, String)]
    )
    func aLineFitsTheTerminal(columns: Int, expected: String) {
        let text = line.text(columns: columns)
        #expect(text == expected)
        #expect(DisplayWidth.columns(text) < columns)
    }

    @Test func whatIsNotKnownIsNotThere() {
        #expect(
            TransferLine(verb: "fetching", done: 1500, file: "x").text(columns: 80)
                == "fetching  1.5 kB  x"
        )
        let empty = TransferLine(verb: "sending", done: 0, total: 0).text(columns: 60)
        #expect(empty.contains("0 B of 0 B 100%"))
        for rate in [0, -1, Double.nan, .infinity, 1e300] {
            var line = line
            line.bytesPerSecond = rate
            #expect(!line.text(columns: 140).contains("/s"))
        }
    }

    private final class Screen: Sendable {
        let lines = Mutex<[String]>([])
        let clock = Mutex(Duration.seconds(100))

        func meter(isShown: Bool = true) -> TransferMeter {
            TransferMeter(
                "sending",
                isShown: isShown,
                now: { self.clock.withLock { $0 } },
                columns: { 100 },
                write: { line in self.lines.withLock { $0.append(line) } }
            )
        }

        func pass(_ duration: Duration) { clock.withLock { $0 += duration } }
    }

    /// 1 MB each tenth of a second are 10 MB/s, of which 7 MB take 0.7 s.
    @Test func speedAndTimeAreThoseOfTheLastSeconds() {
        let screen = Screen()
        let meter = screen.meter()
        // What was there before takes no time.
        for step in 0...30 {
            meter.advance(to: 500_000_000 + UInt64(step) * 1_000_000, of: 537_000_000, file: "a")
            screen.pass(.milliseconds(100))
        }
        let last = screen.lines.withLock { $0.last } ?? ""
        #expect(last.contains("530.0 MB of 537.0 MB 98%  10.0 MB/s  ETA 1s"), "\(last)")
        meter.clear()
        meter.clear()
        #expect(screen.lines.withLock { $0.filter(\.isEmpty).count } == 1)
    }

    @Test func aTerminalIsToldSomeTimesASecondAndAPipeNever() {
        let screen = Screen()
        let meter = screen.meter()
        let silent = screen.meter(isShown: false)
        for chunk in 0..<10_000 {
            meter.advance(to: UInt64(chunk), of: 10_000, file: "a")
            silent.advance(to: UInt64(chunk), of: 10_000, file: "a")
            screen.pass(.milliseconds(1))
        }
        // Ten seconds.
        #expect((90...101).contains(screen.lines.withLock { $0.count }))
        silent.clear()
        #expect(screen.lines.withLock { !$0.contains("") })
    }

    /// A file that is sent again begins anew; nothing is divided by what is not there.
    @Test func whatBeginsAnewHasASpeedAgain() {
        let screen = Screen()
        let meter = screen.meter()
        for done in [0, 5_000_000, 10_000_000, 0, 5_000_000, 10_000_000] as [UInt64] {
            meter.advance(to: done, of: 20_000_000, file: "a")
            screen.pass(.seconds(1))
        }
        let last = screen.lines.withLock { $0.last } ?? ""
        #expect(last.contains("50%  5.0 MB/s  ETA 2s"), "\(last)")
    }
}
