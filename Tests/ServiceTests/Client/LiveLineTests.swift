internal import Protocol
internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md, Watching: what a live line keeps at 40, 80 and 140 columns.
@Suite struct LiveLineTests {
    private static let losses = [4, 3, 2.5, 2.25]

    private static func line(
        _ label: String,
        _ phase: String,
        step: UInt64 = 13,
        of total: UInt64 = 40,
        columns: Int
    ) -> String {
        var progress = JobProgress(step: step, totalSteps: total, phase: phase)
        if phase == "train" || phase.hasPrefix("validating") {
            (progress.loss, progress.tokensPerSecond, progress.etaSeconds) = (0.3812, 137, 197)
            progress.precision = "mxfp4"
        }
        return ProgressLine.live(
            label: label,
            state: "RUNNING",
            progress,
            losses: losses,
            columns: columns
        )
    }

    /// Seen: at 80 columns the course of the loss stayed and the job's name went.
    @Test(arguments: [40, 80, 140])
    func aPipelinesLineHasTheNameOfTheJob(columns: Int) {
        for label in ["qat", "train", "quantize-aware-training-with-distillation", "訓練訓練訓練"] {
            for phase in [
                "train", "validating 3/16", "baseline 120/300", "load", "a model: hamlet.txt 7/9",
            ] {
                for (step, total) in [(13, 40), (13_000, 40_000), (1_300_000, 4_000_000)]
                    as [(UInt64, UInt64)]
                {
                    let line = Self.line(label, phase, step: step, of: total, columns: columns)
                    #expect(DisplayWidth.columns(line) < columns, "\(line)")
                    #expect(line.hasPrefix(String(label.prefix(2))), "\(columns): \(line)")
                    #expect(line.contains("step \(step)/\(total)"), "\(columns): \(line)")
                }
            }
        }
    }

    /// Seen: "validating 3/1" of 3/16.
    @Test func aCountIsNeverCutInItsMiddle() {
        for columns in 24...140 {
            for label in ["", "qat", "quantize-aware-training"] {
                for phase in ["validating 3/16", "generating text 120/3000", "baseline 1/300"] {
                    let count = String(phase.split(separator: " ").last ?? "")
                    let line = Self.line(label, phase, columns: columns)
                    let slashes = line.split(separator: " ").filter {
                        $0.contains("/") && !$0.contains("tokens")
                    }
                    // The step's, and the phase's whole or not at all.
                    #expect(
                        slashes.allSatisfy { ["13/40", count].contains(String($0)) },
                        "\(columns): \(line)"
                    )
                    if columns >= 40 { #expect(line.contains(count), "\(columns): \(line)") }
                }
            }
        }
    }

    /// The order of docs/CLIENT.md: the format, the course of the loss, the state, the speed go first.
    @Test func lessImportantPartsGoFirst() {
        let order = [
            "mxfp4", "█▄▂▁", "RUNNING", "137 tokens/s", "train", "ETA 3m17s", "loss 0.3812", "qat",
        ]
        var last = order.count
        for columns in (16...140).reversed() {
            let line = Self.line("qat", "train", columns: columns)
            let there = order.map { line.contains($0) }
            // What is there is the end of the list: nothing stays for which something better went.
            let first = there.firstIndex(of: true) ?? order.count
            #expect(there[first...].allSatisfy { $0 }, "\(columns): \(line)")
            #expect(order.count - first <= last)
            last = order.count - first
            #expect(line.contains("step 13/40"), "\(columns): \(line)")
        }
    }

    @Test(
        arguments: [
            ("validating 3/16", 15, "validating 3/16"), ("validating 3/16", 14, "validati… 3/16"),
            ("validating 3/16", 7, "v… 3/16"), ("validating 3/16", 6, "3/16"),
            ("load", 3, "lo…"), ("a b/c", 4, "a b…"), ("step x/2", 5, "step…"),
        ] as [(String, Int, String)]
    )
    func aPhaseIsCutBeforeItsCount(text: String, limit: Int, expected: String) {
        #expect(PhaseText(text).cut(to: limit) == expected)
    }

    /// Seen: 140 escapes in a terminal that obeys none.
    @Test func aTerminalThatOnlyShowsGetsLines() {
        #expect(!Console.obeysControls(["TERM": "dumb"]))
        for known in [["TERM": "xterm-256color"], ["TERM": "linux"], [:]] {
            #expect(Console.obeysControls(known))
        }
    }
}
