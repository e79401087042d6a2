internal import Foundation
internal import Jobs
internal import Protocol
internal import Serving
internal import Testing

@testable internal import Gateway

/// Served models as callers see them, with replicas that the tests play.
struct ModelRouterTests {
    /// A gateway's insides on a database of its own.
    private final class Fixture: Sendable {
        let folder: String
        let api: GatewayAPI
        let policies: PolicyFile

        init(_ policy: AccessPolicy = AccessPolicy()) throws {
            folder = NSTemporaryDirectory() + "/qat-router-" + UUID().uuidString
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
            policies = PolicyFile(policy)
            let pool = try GatewayDatabase.open(path: folder + "/gateway.sqlite")
            api = GatewayAPI(
                engine: JobEngine(
                    store: SQLiteJobStore(pool: pool),
                    leaseDuration: .seconds(30),
                    policies: policies
                ),
                artifacts: try ArtifactStore(root: folder + "/cas"),
                logs: try JobLogStore(folder: folder + "/logs"),
                authority: Authority(policies: policies, audit: AuditLog { _ in })
            )
        }

        deinit {
            try? api.engine.store.close()
            try? FileManager.default.removeItem(atPath: folder)
        }

        func user(_ name: String) -> Principal {
            Principal(PeerIdentity(trustDomain: "test", subject: .user(name: name)))
        }

        func worker(_ role: Role) -> Principal {
            Principal(
                PeerIdentity(
                    trustDomain: "test",
                    subject: .service(role: role.rawValue, instance: "one")
                )
            )
        }

        static func claim(_ job: String) -> LeaseClaim {
            let worker = WorkerIdentity(role: .eval, instance: "eval-\(job)")
            return LeaseClaim(epoch: 1, holder: LeaseHolder(worker: worker, boot: "boot"))
        }

        /// A replica of a user's model.
        func connect(_ job: String, _ name: String, of owner: String) -> AsyncStream<ReplicaOrder> {
            api.serving.connect(
                job: job,
                ServingTable.Service(owner: owner, name: name),
                Self.claim(job),
                ReplicaCapacity(slots: 4, length: 64),
                created: 1
            )
        }

        func tell(_ job: String, _ number: UInt64, _ contents: ReplicaAnswer.Content...) -> Bool {
            let answers = contents.map { ReplicaAnswer(number, $0) }
            return api.serving.hear(job, Self.claim(job), answers, nil)
        }
    }

    private static let request = TextRequest(prompt: .text("x"), tokenLimit: 4)

    @Test func answersComeInOrderAndEnd() async throws {
        let fixture = try Fixture()
        var orders = fixture.connect("j1", "tiny", of: "ann").makeAsyncIterator()
        #expect(await orders.next()?.action == .begin)
        let stream = try await fixture.api.models.answers(
            to: Self.request,
            model: "tiny",
            for: fixture.user("ann")
        )
        let order = try #require(await orders.next())
        #expect(order.action == .write && order.request == Self.request)
        let told: [TextAnswer] = [
            .accepted(promptTokens: 1), .text(index: 0, "a", tokens: []),
            .text(index: 0, "b", tokens: []),
            .finished(index: 0, reason: "length", stop: nil, tokens: 4),
        ]
        for answer in told { #expect(fixture.tell("j1", order.number, .answer(answer))) }
        #expect(fixture.tell("j1", order.number, .over))
        var heard: [TextAnswer] = []
        for try await answer in stream { heard.append(answer) }
        #expect(heard == told)
        #expect(!fixture.tell("j2", order.number, .over))
    }

    @Test func aStreamThatIsDroppedIsTakenBack() async throws {
        let fixture = try Fixture()
        var orders = fixture.connect("j1", "tiny", of: "ann").makeAsyncIterator()
        _ = await orders.next()
        var stream: AsyncThrowingStream<TextAnswer, any Error>? = try await fixture.api.models
            .answers(to: Self.request, model: "tiny", for: fixture.user("ann"))
        let order = try #require(await orders.next())
        #expect(await fixture.api.models.replicas().first?.running == 1)
        withExtendedLifetime(stream) {}
        stream = nil
        #expect(await orders.next() == ReplicaOrder(.cancel, number: order.number))
        #expect(await fixture.api.models.replicas().first?.running == 0)
    }

    @Test func tokensOfAPrompt() async throws {
        let fixture = try Fixture()
        var orders = fixture.connect("j1", "tiny", of: "ann").makeAsyncIterator()
        _ = await orders.next()
        let router = fixture.api.models
        async let tokens = router.tokens(of: .text("x"), model: "tiny", for: fixture.user("ann"))
        let order = try #require(await orders.next())
        #expect(order.action == .tokenize)
        #expect(fixture.tell("j1", order.number, .tokens([1, 2, 3])))
        #expect(try await tokens == [1, 2, 3])
    }

    /// A model of somebody else's is not there, unless everybody sees all jobs.
    @Test func othersModelsAreNotThere() async throws {
        var policy = AccessPolicy()
        policy.operators = ["root"]
        let fixture = try Fixture(policy)
        let orders = fixture.connect("j1", "tiny", of: "ann")
        let router = fixture.api.models
        #expect(try await router.models(for: fixture.user("bob")).isEmpty)
        for name in ["tiny", "j1"] {
            let refusal = await #expect(throws: RPCError.self) {
                try await router.answers(to: Self.request, model: name, for: fixture.user("bob"))
            }
            #expect(refusal?.code == .notFound)
        }
        #expect(try await router.models(for: fixture.user("root")).map(\.name) == ["tiny"])
        policy.visibility = .all
        fixture.policies.put(policy)
        let model = try #require(try await router.models(for: fixture.user("bob")).first)
        #expect(model.job == "j1" && model.owner == "ann" && model.readyReplicas == 1)
        withExtendedLifetime(orders) {}
    }

    @Test func callersOwnModelGoesFirst() async throws {
        var policy = AccessPolicy()
        policy.visibility = .all
        let fixture = try Fixture(policy)
        var ann = fixture.connect("j1", "tiny", of: "ann").makeAsyncIterator()
        var bob = fixture.connect("j2", "tiny", of: "bob").makeAsyncIterator()
        _ = (await ann.next(), await bob.next())
        let router = fixture.api.models
        let own = try await router.answers(
            to: Self.request,
            model: "tiny",
            for: fixture.user("bob")
        )
        #expect(await bob.next()?.action == .write)
        let refusal = await #expect(throws: RPCError.self) {
            try await router.answers(to: Self.request, model: "tiny", for: fixture.user("eve"))
        }
        #expect(refusal?.message.contains("several users serve a model tiny: ann, bob") == true)
        let named = try await router.answers(
            to: Self.request,
            model: "j1",
            for: fixture.user("eve")
        )
        #expect(await ann.next()?.action == .write)
        withExtendedLifetime((own, named)) {}
    }

    /// Who may not ask any more gets no more of an answer.
    @Test func aPolicyThatChangesEndsAnswers() async throws {
        let fixture = try Fixture()
        fixture.policies.whenChanged { fixture.api.serving.review() }
        var orders = fixture.connect("j1", "tiny", of: "ann").makeAsyncIterator()
        _ = await orders.next()
        let stream = try await fixture.api.models.answers(
            to: Self.request,
            model: "tiny",
            for: fixture.user("ann")
        )
        let order = try #require(await orders.next())
        var policy = AccessPolicy()
        policy.methods["user"] = ["qat.v1.Jobs/*"]
        fixture.policies.put(policy)
        let refusal = await #expect(throws: RPCError.self) { for try await _ in stream {} }
        #expect(refusal?.code == .permissionDenied)
        #expect(await orders.next() == ReplicaOrder(.cancel, number: order.number))
        let denied = await #expect(throws: RPCError.self) {
            try await fixture.api.models.models(for: fixture.user("ann"))
        }
        #expect(denied?.code == .permissionDenied)
    }

    @Test func onlyTheHolderOfALeaseTakesRequests() async throws {
        let fixture = try Fixture()
        let request = TakeRequestsRequest(
            jobID: "0000000000000001",
            epoch: 1,
            instance: "one",
            bootID: "b",
            slots: 1,
            length: 64
        )
        await #expect(throws: (any Error).self) {
            try await fixture.api.takeRequests(request, by: fixture.worker(.eval))
        }
        for principal in [fixture.worker(.train), fixture.user("ann")] {
            let refusal = await #expect(throws: RPCError.self) {
                try await fixture.api.takeRequests(request, by: principal)
            }
            #expect(refusal?.code == .permissionDenied)
        }
        let told = try await fixture.api.tellAnswers(
            TellAnswersRequest(jobID: "0000000000000001", epoch: 1, bootID: "b"),
            by: fixture.worker(.eval)
        )
        #expect(!told.accepted)
    }
}
