internal import Foundation
internal import JobInputs
internal import JobSpecs
internal import Protocol
internal import Transformer

/// Whether a worker has the memory that a training takes, as far as the gateway knows its workers.
struct MemoryComparison {
    /// A training of a file.
    struct Training {
        /// What messages call it, as in `the training`.
        let name: String
        let plan: MemoryPlan

        init(name: String, plan: MemoryPlan) {
            self.name = name
            self.plan = plan
        }

        /// Nil of what is no training, or whose model is not at hand; and of one that waits for machines that
        /// no worker offers: what theirs have nobody knows.
        init?(name: String, of spec: JobSpec, _ plan: MemoryPlan?) {
            guard let plan, spec.resources.waitReason == nil else { return nil }
            self.init(name: name, plan: plan)
        }
    }

    /// The worker that has most of those that train, and how much that is.
    let largest: (instance: String, byteCount: UInt64)
    /// How many there are.
    let count: Int

    /// Looks at workers; nil if none of them trains, or one does not say what it has.
    init?(_ services: [ServiceInfo]) {
        // A list that is cut off may lack the largest.
        guard services.count < Self.listLimit else { return nil }
        let own = services.filter { $0.role == "train" }
        guard own.allSatisfy({ $0.memoryBytes > 0 }),
            let most = own.max(by: { $0.memoryBytes < $1.memoryBytes })
        else { return nil }
        largest = (most.instance, most.memoryBytes)
        count = own.count
    }

    /// Workers that a gateway lists at most.
    private static let listLimit = 128

    /// Why no worker can take a training; nil if one can.
    func fault(of training: Training) -> String? {
        guard UInt64(clamping: training.plan.byteCount) > largest.byteCount else { return nil }
        let who =
            count == 1
            ? "the only worker that trains, \(largest.instance),"
            : "the largest of the \(count) workers that train, \(largest.instance),"
        return "\(training.name) takes \(training.plan.sentence); \(who) has "
            + "\(Quantities.bytes(largest.byteCount)): \(Self.advice), or start a worker that has more"
    }

    private static let advice = "lower micro_batch_size or seq_length, freeze parameters"

    /// What to say of a training of which no gateway tells whether it can be held.
    static func remark(on training: Training, machine: UInt64) -> String? {
        guard UInt64(clamping: training.plan.byteCount) > machine else { return nil }
        return "\(training.name) takes \(training.plan.sentence); this machine has "
            + "\(Quantities.bytes(machine)), and no gateway was there to say what its workers have; "
            + advice
    }

    /// Refuses trainings that no worker can take.
    ///
    /// `file`: The job file, for messages.
    ///
    /// - Throws: ``ClientError`` (`usage`) with a line for each.
    static func check(
        _ trainings: [Training],
        file: String,
        _ client: RPCClient
    ) async throws {
        guard !trainings.isEmpty, let workers = await ask(client) else { return }
        try workers.check(trainings, file: file)
    }

    /// The same where nothing is sent: by the gateway, if one answers soon, else by this machine.
    ///
    /// - Returns: What the submitter should know.
    static func checkAhead(
        _ trainings: [Training],
        file: String,
        _ home: QatHome
    ) async throws -> [String] {
        guard !trainings.isEmpty else { return [] }
        guard let workers = await ask(home) else {
            let machine = ProcessInfo.processInfo.physicalMemory
            return trainings.compactMap { remark(on: $0, machine: machine) }
        }
        try workers.check(trainings, file: file)
        return []
    }

    private func check(_ trainings: [Training], file: String) throws {
        let faults = trainings.compactMap(fault)
        guard faults.isEmpty else {
            throw ClientError(.usage, faults.map { "\(file): \($0)" })
        }
    }

    /// What a gateway's workers have; nil if it does not say.
    private static func ask(_ client: RPCClient) async -> MemoryComparison? {
        let request = StatusRequest(pageSize: 1)
        let status = try? await client.call(QatMethods.status, request, timeout: .seconds(5))
        return status.flatMap { MemoryComparison($0.services) }
    }

    /// The same of the gateway of a profile, if there is one.
    private static func ask(_ home: QatHome) async -> MemoryComparison? {
        guard let profile = try? Profile.load(home) else { return nil }
        let answer = try? await Interruption.within(.seconds(3)) {
            try await GatewayConnection.with(profile, attempts: 1) { await ask($0) }
        }
        return answer ?? nil
    }
}
