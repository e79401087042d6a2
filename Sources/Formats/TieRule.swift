/// Where a value exactly between two codes goes.
public enum TieRule: String, Sendable, Codable, CaseIterable {
    /// To the code with an even mantissa.
    case even
    /// Away from zero.
    case away
    /// Toward zero.
    case zero
}
