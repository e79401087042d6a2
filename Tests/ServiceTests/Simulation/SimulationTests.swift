internal import Foundation
internal import Jobs
internal import Protocol
internal import Testing

@testable internal import Gateway

/// Random lives of a whole cluster, on a virtual clock, each from its seed.
///
/// `QAT_SIMULATION_SEEDS=FIRST..LAST` runs other seeds, such as the one that a failure names.
struct SimulationTests {
    private static let seeds: ClosedRange<UInt64> = {
        let text = ProcessInfo.processInfo.environment["QAT_SIMULATION_SEEDS"] ?? ""
        let ends = text.split(separator: ".").compactMap { UInt64($0) }
        guard let first = ends.first, let last = ends.last, first <= last else { return 1...10_000 }
        return first...last
    }()

    @Test func nothingIsLostDoubledForgedOrStuckWhateverFails() async throws {
        var courses: [String: Int] = [:]
        for seed in Self.seeds {
            do {
                courses.merge(try await Self.live(seed)) { $0 + $1 }
            } catch {
                Issue.record("seed \(seed): \(error)")
            }
        }
        // Of enough lives, everything that docs/JOBS.md says of a pause happens in some.
        guard Self.seeds.count >= 1_000 else { return }
        for course in [
            "BLOCKED PAUSED", "QUEUED PAUSED", "STARTING PAUSING", "RUNNING PAUSING",
            "PAUSING PAUSED", "PAUSING RUNNING", "PAUSING CANCELLING", "PAUSING SUCCEEDED",
            "PAUSING FAILED", "PAUSING RECOVERING", "RECOVERING PAUSED", "PAUSED BLOCKED",
            "PAUSED CANCELLED", "PAUSED FAILED",
        ] {
            #expect(courses[course, default: 0] > 0, "no job went \(course)")
        }
    }

    /// How often a state followed another one.
    private static func live(_ seed: UInt64) async throws -> [String: Int] {
        let cluster = try await SimulatedCluster(seed: seed)
        for _ in 0..<120 {
            try await act(cluster)
        }
        try await cluster.history.check(cluster.store)
        try await finish(cluster, seed)
        try await cluster.history.check(cluster.store)
        return cluster.history.courses
    }

    private static func act(_ cluster: SimulatedCluster) async throws {
        switch Int.random(in: 0..<100, using: &cluster.random) {
        case 0..<10: try await cluster.submit()
        case 10..<12: try await cluster.submitPipeline()
        case 12..<14: try await cluster.pause()
        case 14..<16: try await cluster.resume()
        case 16..<66: try await cluster.work(Int.random(in: 0..<3, using: &cluster.random))
        case 66..<72: try await cluster.cancel()
        case 72..<76: try await cluster.retry()
        case 76..<79: try await cluster.forge()
        case 79..<80: try await cluster.impersonate()
        case 80..<82: try await cluster.remove()
        case 82..<86: cluster.crash(Int.random(in: 0..<3, using: &cluster.random))
        case 86..<89: try await cluster.restart()
        case 89..<91: cluster.jump(hours: cluster.chance(50) ? 1 : -1)
        default: try await cluster.pass(seconds: .random(in: 0.1...40, using: &cluster.random))
        }
    }

    /// With nothing failing any more, every job ends.
    private static func finish(_ cluster: SimulatedCluster, _ seed: UInt64) async throws {
        cluster.isFaulty = false
        try await cluster.resumeAll()
        while !cluster.unanswered.isEmpty { try await cluster.submit() }
        while !cluster.unansweredPipelines.isEmpty { try await cluster.submitPipeline() }
        for _ in 0..<2000 {
            let open = try await cluster.store.jobs(
                in: JobState.allCases.filter { !$0.isTerminal },
                after: 0,
                limit: .max
            ).jobs
            guard !open.isEmpty else { return }
            for index in cluster.workers.indices { try await cluster.work(index) }
            try await cluster.pass(seconds: 1)
        }
        for id in cluster.store.ids {
            let stored = try await cluster.store.job(id)
            guard !stored.job.state.isTerminal else { continue }
            let why = try await cluster.engine.detail(id).summary.waitReason
            Issue.record("seed \(seed): \(id) is stuck: \(stored.job.state), \(why)")
        }
    }
}
