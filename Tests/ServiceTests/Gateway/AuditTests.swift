internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// The audit log says who changed something and who was refused, and is not filled by who asks again.
struct AuditTests {
    private static func denial(_ rule: String, peer: String = "train-1") -> AuditLog.Entry {
        let subject = PeerIdentity.Subject.service(role: "train", instance: peer)
        let identity = PeerIdentity(trustDomain: "t", subject: subject)
        return AuditLog.Entry(isAllowed: false, Caller(Principal(identity), .registerWorker), rule)
    }

    /// Seen: a refused twin, which asks every two seconds, wrote a line each time.
    @Test func aRefusalThatComesAgainIsOneLineAMinute() {
        let limit = DenialLimit()
        let start = ContinuousClock.now
        let notes = (0..<60).map { second in
            limit.note(Self.denial("twin"), at: start + .seconds(2 * second))
        }
        let written = notes.enumerated().compactMap { index, note in note.map { (2 * index, $0) } }
        #expect(written.map(\.0) == [0, 60])
        #expect(written.map(\.1) == ["", " (29 more like it were not noted)"])
        // Another reason, and another peer, are told at once.
        for other in [Self.denial("other"), Self.denial("twin", peer: "train-2")] {
            #expect(limit.note(other, at: start + .seconds(119)) == "")
            #expect(limit.note(other, at: start + .seconds(119)) == nil)
        }
    }

    /// Reasons that a peer makes up, one per call, are ten lines a minute all in all.
    @Test func aPeerIsTenLinesAMinute() {
        let limit = DenialLimit()
        let start = ContinuousClock.now
        let notes = (0..<3_000).map { limit.note(Self.denial("\($0)"), at: start) }
        #expect(notes.compactMap(\.self) == Array(repeating: "", count: 10))
        #expect(
            limit.note(Self.denial("new"), at: start + .seconds(61))
                == " (2990 more were not noted)"
        )
        #expect(limit.note(Self.denial("0", peer: "train-2"), at: start) == "")
    }

    /// Seen: a user's call of a worker's method stood there otherwise, and one in another's name not at all.
    @Test func whomNoRuleAdmitsIsThereAsWell() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            await #expect(throws: RPCError.self) {
                _ = try await ada.call(QatMethods.registerWorker, RegisterWorkerRequest())
            }
            let denied = gateway.audit.filter { !$0.isAllowed }
            #expect(denied.map(\.method) == ["qat.v1.Lease/Register"])
            #expect(denied.first?.peer.contains("ada") == true)
        }
    }

    private static func allowed(_ gateway: GatewayFixture, _ method: String) -> [String] {
        gateway.audit.filter { $0.isAllowed && $0.method == "qat.v1.\(method)" }.map(\.rule)
    }

    /// Seen: a job that was cancelled long ago, cancelled again, was audited as done.
    @Test func onlyWhatChangesSomethingIsAllowed() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let worker = try await gateway.worker(.quant, "quant-1")
            let id = try await gateway.submit(ada)
            #expect(try await gateway.submit(ada) == id)
            #expect(Self.allowed(gateway, "Jobs/Submit") == ["job \(id)"])
            for _ in 0..<3 {
                _ = try await ada.call(QatMethods.cancelJob, CancelJobRequest(jobID: id))
            }
            #expect(Self.allowed(gateway, "Jobs/Cancel") == ["job \(id)"])
            // One that runs: asked, asked again, asked more firmly.
            let other = try await gateway.submit(ada, key: "other")
            let lease = try await gateway.lease(worker, "quant-1")
            for isNow in [false, false, true, true] {
                _ = try await ada.call(
                    QatMethods.cancelJob,
                    CancelJobRequest(jobID: other, now: isNow)
                )
            }
            #expect(
                Self.allowed(gateway, "Jobs/Cancel").dropFirst() == [
                    "job \(other)", "job \(other)",
                ]
            )
            for _ in 0..<2 {
                let end = CompleteLeaseRequest(
                    jobID: other,
                    epoch: lease.epoch,
                    outcome: .cancelled,
                    bootID: "b1"
                )
                #expect(try await worker.call(QatMethods.completeLease, end).accepted)
            }
            #expect(Self.allowed(gateway, "Lease/Complete").count == 1)
            // The last calls of the process that held the lease are nobody's intrusion.
            _ = try await worker.call(
                QatMethods.heartbeat,
                HeartbeatRequest(
                    jobID: other,
                    epoch: lease.epoch,
                    instance: "quant-1",
                    bootID: "b1"
                )
            )
            #expect(gateway.denials.isEmpty)
        }
    }

    @Test func aPipelineIsAuditedOnceAsWell() async throws {
        try await GatewayFixture.run { gateway in
            let ada = try gateway.user("ada")
            let (id, _) = try await gateway.jobs.engine.submit(try gateway.jobs.pipeline("p"))
            for _ in 0..<3 {
                _ = try await ada.call(
                    QatMethods.cancelPipeline,
                    CancelPipelineRequest(pipelineID: id),
                    // What is counted is said, not how soon all other tests leave it a processor.
                    timeout: .seconds(120)
                )
            }
            #expect(Self.allowed(gateway, "Jobs/CancelPipeline") == ["pipeline \(id)"])
        }
    }
}
