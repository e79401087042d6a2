/// The line that shows how far files have come that are sent or fetched, like that of a job.
struct TransferLine {
    /// `sending`, `fetching`.
    let verb: String
    /// Bytes so far, and all; nil where nobody knows.
    var done: UInt64
    var total: UInt64?
    /// Nil until there is something to tell it by.
    var bytesPerSecond: Double?
    /// The file under way.
    var file = ""

    /// The line as it fits a terminal, whose last column stays free.
    func text(columns: Int) -> String {
        var parts: [LiveLine.Part] = [.init(verb, rank: 1, isName: true)]
        var share: Double?
        if let total {
            let amount = "\(Quantities.bytes(done)) of \(Quantities.bytes(total))"
            let percent = Quantities.percent(done, of: total)
            share = Double(percent) / 100
            parts.append(
                .init("\(amount) \(percent)%", rank: 0, least: DisplayWidth.columns(amount)) { _ in
                    amount
                }
            )
        } else {
            parts.append(.init(Quantities.bytes(done), rank: 0))
        }
        if let rate = bytesPerSecond, rate.isFinite, rate > 0, rate < 1e18 {
            parts.append(.init("\(Quantities.bytes(UInt64(rate)))/s", rank: 5))
            if let total, total > done {
                let seconds = Double(total - done) / rate
                parts.append(.init("ETA \(Quantities.duration(seconds: seconds))", rank: 4))
            }
        }
        parts.append(.init(DisplayWidth.printable(file), rank: 6, least: 12))
        return LiveLine(parts, columns: columns).text(share: share)
    }
}
