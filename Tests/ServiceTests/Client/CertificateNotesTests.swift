internal import Foundation
internal import Testing

@testable internal import Protocol
@testable internal import qat_client

struct CertificateNotesTests {
    @Test func theSuitesAndTheUsersCertificatesAreWarnedOf() {
        let now = Date(timeIntervalSince1970: 1_800_000_000)
        func unixMs(_ days: Double) -> Int64 { Int64(1_800_000_000 + days * 86_400) * 1000 }
        let status = StatusResponse(
            services: [
                ServiceInfo(instance: "train-1", certificateEndsUnixMs: unixMs(20.5)),
                ServiceInfo(instance: "quant-1", certificateEndsUnixMs: unixMs(31)),
                // An older worker does not say.
                ServiceInfo(instance: "eval-1"),
            ],
            certificateEndsUnixMs: unixMs(-1)
        )
        let own = CertificateValidity(
            path: "/home/ada/ada.pem",
            begins: .distantPast,
            ends: now.addingTimeInterval(2 * 86_400)
        )
        let lines = CertificateNotes.lines(status, own: own, at: now)
        #expect(lines.count == 3)
        #expect(lines[0].hasPrefix("warning: a certificate of gateway ended on 2027-01-14"))
        #expect(lines[1].hasPrefix("warning: a certificate of train-1 ends in 20 days"))
        #expect(lines[2].hasPrefix("warning: your certificate /home/ada/ada.pem ends in 2 days"))
    }

    /// A file that cannot be written is 1, one that is wrong 2, whatever the words.
    @Test func whatCouldNotBeWrittenIsToldByTheErrorsCause() {
        func status(_ error: RPCError) -> qat_client.ExitStatus? {
            let thrown = #expect(throws: ClientError.self) {
                try CertsCommand.locally { throw error }
            }
            #expect(thrown?.lines == [error.message])
            return thrown?.status
        }
        let cause = UnwrittenFile(path: "p", reason: "r")
        #expect(status(RPCError(.failedPrecondition, "no room", cause: cause)) == .failed)
        #expect(status(RPCError(.failedPrecondition, "cannot create what is wrong")) == .usage)
        #expect(status(RPCError(.resourceExhausted, "a name is too long")) == .usage)
    }
}
