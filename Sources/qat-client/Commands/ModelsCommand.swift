internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol
internal import Serving

/// `models`: the models that the gateway serves to this user.
struct ModelsCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the models that the gateway serves; qat-client submit serve serves one.",
        discussion: """
            A model is there from when a replica of it has answered a prompt of its own. qat-client generate \
            and chat ask it by its name.
            """
    )

    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        let models = try await GatewayConnection.with(QatHome()) { client in
            try await client.call(QatMethods.listModels, ListModelsRequest()).models
        }
        guard !output.json else {
            for model in models {
                Console.print(
                    .object([
                        "name": .string(model.name), "job": .string(model.job),
                        "owner": .string(model.owner), "created": .number(Double(model.created)),
                        "length": .number(Double(model.length)),
                        "ready_replicas": .number(Double(model.readyReplicas)),
                        "replicas": .number(Double(model.replicas)),
                    ])
                )
            }
            return .succeeded
        }
        guard !models.isEmpty else {
            Console.print("no model is served")
            return .succeeded
        }
        var table = TextTable(columns: [
            .init(heading: "MODEL", least: 8), .init(heading: "OWNER", dropOrder: 2),
            .init(heading: "JOB"), .init(heading: "REPLICAS"),
            .init(heading: "LENGTH", isNumber: true, dropOrder: 1),
        ])
        for model in models {
            let replicas = "\(model.readyReplicas)/\(model.replicas)"
            table.append([model.name, model.owner, model.job, replicas, String(model.length)])
        }
        Console.print(table.rendered(within: Console.tableColumns))
        return .succeeded
    }
}
