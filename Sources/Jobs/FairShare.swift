/// How much of a limit that all owners have in common is each one's.
///
/// Whoever has no more than an equal share keeps all of it, and what they leave is the others': nobody loses
/// anything because somebody else has much.
public enum FairShare {
    /// What of each owner's amount has to go, so that all together keep to a limit; owners that keep all of
    /// theirs are left out.
    ///
    /// Amounts are not negative; neither is the limit.
    public static func excess<Owner: Hashable & Comparable>(
        of amounts: [Owner: Int64],
        above limit: Int64
    ) -> [Owner: Int64] {
        // From the least: a share grows by what those before it did not need.
        let owners = amounts.sorted { ($0.value, $0.key) < ($1.value, $1.key) }
        var left = limit
        var excess: [Owner: Int64] = [:]
        for (place, owner) in owners.enumerated() {
            let share = left / Int64(owners.count - place)
            let kept = min(owner.value, share)
            left -= kept
            if kept < owner.value { excess[owner.key] = owner.value - kept }
        }
        return excess
    }
}
