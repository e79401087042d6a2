internal import Testing
@testable internal import qat_client

@Suite struct UUIDv7Tests {
    private struct Constant: RandomNumberGenerator {
        let value: UInt64
        mutating func next() -> UInt64 { value }
    }

    @Test func laysOutTimeVersionAndVariant() {
        var ones = Constant(value: .max)
        // The moment of RFC 9562, appendix A.6.
        let all = UUIDv7(unixMs: 0x017F_22E2_79B0, using: &ones)
        #expect(all.description == "017f22e2-79b0-7fff-bfff-ffffffffffff")
        var zeros = Constant(value: 0)
        let none = UUIDv7(unixMs: 0x017F_22E2_79B0, using: &zeros)
        #expect(none.description == "017f22e2-79b0-7000-8000-000000000000")
    }

    @Test func sortsByTimeAndDiffers() {
        var generator = SystemRandomNumberGenerator()
        let early = UUIDv7(unixMs: 1000, using: &generator).description
        let late = UUIDv7(unixMs: 1001, using: &generator).description
        #expect(early < late)
        #expect(UUIDv7.now() != UUIDv7.now())
    }
}
