internal import ComputeKit
internal import Foundation
internal import JobSpecs
internal import Questions
internal import Testing
internal import Transformer

@testable internal import EvalService

#if canImport(FoundationXML)
    internal import FoundationXML
#endif

/// A table of three models whose figures were worked out by hand: 42 of the baseline, 72 rounded to nearest, 45
/// trained: 27 of 30 are won back.
@Suite struct EvaluationTableTests {
    private static func row(_ label: String, _ perplexity: Double, _ hits: Double) -> EvaluationRow
    {
        var row = EvaluationRow(
            label: label,
            storedByteCount: 113_100_000,
            bf16ByteCount: 269_300_000,
            activations: .none
        )
        row.measurements = [
            EvalService.Measurement(
                task: .perplexity,
                index: 0,
                text: "a_b.txt",
                name: .perplexity,
                value: perplexity,
                interval: [perplexity - 1, perplexity + 1],
                count: 4
            ),
            EvalService.Measurement(
                task: .mmlu,
                index: 1,
                text: nil,
                name: .choiceAccuracy,
                value: hits,
                interval: nil,
                count: 200
            ),
        ]
        return row
    }

    private static func results() -> EvaluationResults {
        let rows = [row("baseline", 42, 0.5), row("nearest", 72, 0.499), row("Q|A_T", 45, 0.52)]
        let recovered = RecoveredShare(baseline: rows[0], worst: rows[1])
        var comparison = Comparison(
            rows[2].measurements[0],
            label: "Q|A_T",
            reference: "baseline",
            WindowComparison([.init(own: 40, reference: 30, targets: 10)], .mean, seed: 1)
        )
        comparison.pValue = 0.01
        return EvaluationResults(
            rows: rows.map(recovered.applied),
            baseline: "baseline",
            recoveredFrom: "nearest",
            comparisons: [comparison]
        )
    }

    /// Of accuracy next to nothing was lost, of which there is no share.
    @Test func sharesAreOfWhatIsLost() {
        let shares = Self.results().rows.map { $0.measurements.map(\.recovered) }
        #expect(shares == [[nil, nil], [0, nil], [0.9, nil]])
    }

    @Test func lossesOfAccuracyCountTheOtherWay() {
        let rows = [Self.row("a", 10, 0.6), Self.row("b", 11, 0.5), Self.row("c", 12, 0.575)]
        let row = RecoveredShare(baseline: rows[0], worst: rows[1]).applied(to: rows[2])
        #expect(abs((row.measurements[1].recovered ?? 0) - 0.75) < 1e-12)
        #expect(row.measurements[0].recovered == -1)
    }

    @Test func markdownIsATable() {
        let text = Self.results().table(title: "t").markdown()
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(
            lines[0]
                == #"| model | memory | of BF16 | perplexity, a\_b.txt | recovered | mmlu acc |"#
        )
        #expect(lines[1] == "|---|---:|---:|---:|---:|---:|")
        #expect(lines[2] == "| baseline | 113 MB | 42.0% | 42.00 [41.00, 43.00] |  | 0.5000 |")
        #expect(
            lines[4] == #"| Q\|A\_T | 113 MB | 42.0% | 45.00 [44.00, 46.00]\* | 90.0% | 0.5200 |"#
        )
        #expect(
            lines.last == ""
                && lines[6].hasPrefix("In brackets: 95 % intervals. \\* differs from baseline")
        )
    }

    @Test func latexEscapesWhatIsMarkup() {
        let text = Self.results().table(title: "t").latex()
        #expect(
            text.contains(#"Q|A\_T & 113 MB & 42.0\% & 45.00 [44.00, 46.00]* & 90.0\% & 0.5200 \\"#)
        )
        #expect(text.contains(#"\begin{tabular}{lrrrrr}"#))
    }

    @Test func csvHasALineForEachFigure() {
        let lines = Self.results().table(title: "t").csv().components(separatedBy: "\r\n")
        #expect(lines.count == 8 && lines[7].isEmpty)
        #expect(
            lines[0].hasPrefix(
                "label,memory_bytes,memory_ratio,activations,kv_cache,task,text,value,low"
            )
        )
        #expect(lines[5].hasPrefix("Q|A_T,113100000,"))
        #expect(lines[5].hasSuffix(",perplexity,a_b.txt,45.0,44.0,46.0,4,0.9,1.0,,,0.01"))
    }

    /// The page is well-formed, needs nothing else, and no label is markup.
    @Test func thePageIsWellFormed() throws {
        var results = Self.results()
        results.rows[1] = Self.row("<script>&", 72, 0.499)
        let html = results.table(title: "a < b").page()
        let parser = XMLParser(data: Data(html.replacing("<!DOCTYPE html>\n", with: "").utf8))
        #expect(parser.parse(), "\(parser.parserError as Any)")
        #expect(html.contains("&lt;script&gt;&amp;") && !html.contains("<script>&"))
        #expect(!html.contains("http://") && !html.contains("https://"))
    }
}

extension ComparisonTable {
    fileprivate func page() -> String { ComparisonPage(self).html() }
}
