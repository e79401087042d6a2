internal import Protocol

/// Several jobs and pipelines in an order that keeps to what waits for what.
enum CancellationOrder {
    /// A job or a pipeline with what it waits for.
    struct Node: Sendable {
        let target: JobTarget
        /// The ids of its jobs.
        var jobs: Set<String> = []
        /// The ids of the jobs that these need.
        var needed: Set<String> = []
        /// In Unix milliseconds.
        var created: Int64 = 0
    }

    /// Those that wait for others before these: cancelled the other way round, they would fail for
    /// those that do not come.
    ///
    /// What there is not stays among them, for whoever acts on it to say so.
    static func dependentsFirst(
        _ targets: [JobTarget],
        _ client: RPCClient
    ) async throws -> [JobTarget] {
        guard targets.count > 1 else { return targets }
        var nodes: [Node] = []
        for target in targets {
            do {
                nodes.append(try await node(target, client))
            } catch let error as RPCError where error.code == .notFound {
                nodes.append(Node(target: target))
            }
        }
        return dependentsFirst(nodes)
    }

    private static func node(_ target: JobTarget, _ client: RPCClient) async throws -> Node {
        switch target {
        case .job(let id):
            let job = try await client.call(QatMethods.getJob, GetJobRequest(jobID: id))
            return Node(
                target: target,
                jobs: [id],
                needed: RemovalForecast.needed(by: job),
                created: job.summary.createdUnixMs
            )
        case .pipeline(let id):
            let request = GetPipelineRequest(pipelineID: id)
            let pipeline = try await client.call(QatMethods.getPipeline, request)
            return Node(
                target: target,
                jobs: Set(pipeline.jobs.map(\.jobID)),
                needed: Set(pipeline.jobs.flatMap(\.after)),
                created: pipeline.summary.createdUnixMs
            )
        }
    }

    /// The newest first, for what a job needs was there before it; of one instant, or where a clock was
    /// set back, those first that name another one.
    static func dependentsFirst(_ nodes: [Node]) -> [JobTarget] {
        let newestFirst = nodes.indices.sorted {
            (nodes[$0].created, $0) > (nodes[$1].created, $1)
        }
        var order: [JobTarget] = []
        var seen: Set<Int> = []
        // Each comes after those that need it; a ring, which the gateway takes none of, ends anywhere.
        func visit(_ index: Int) {
            guard seen.insert(index).inserted else { return }
            for user in newestFirst
            where !nodes[user].needed.isDisjoint(with: nodes[index].jobs) {
                visit(user)
            }
            order.append(nodes[index].target)
        }
        newestFirst.forEach(visit)
        return order
    }
}
