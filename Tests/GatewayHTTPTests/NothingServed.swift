@testable internal import Gateway
internal import Protocol
internal import Serving

/// A gateway without serve jobs: there is no model to ask.
struct NothingServed: ModelServing {
    func models(for principal: Principal) async throws -> [ServedModel] { [] }

    func answers(
        to request: TextRequest,
        model: String,
        for principal: Principal
    ) async throws -> AsyncThrowingStream<TextAnswer, any Error> {
        throw RPCError(.notFound, "no model is served")
    }

    func tokens(
        of prompt: TextRequest.Prompt,
        model: String,
        for principal: Principal
    ) async throws -> [Int32] {
        throw RPCError(.notFound, "no model is served")
    }

    func replicas() async -> [ReplicaState] { [] }
}
