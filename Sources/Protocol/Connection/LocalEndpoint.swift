internal import Foundation

/// What one side tells the other about itself.
package struct LocalEndpoint: Sendable {
    package var build: String
    package var instanceID: String
    package var bootID: String
    /// The peer's identity, as its certificate says.
    package var peer: String

    package init(build: String, instanceID: String, bootID: String, peer: String) {
        self.build = build
        self.instanceID = instanceID
        self.bootID = bootID
        self.peer = peer
    }

    /// This process; its boot identifier changes with every start.
    static let thisProcess = LocalEndpoint(
        build: "qat/1.0",
        instanceID: "\(ProcessInfo.processInfo.processIdentifier)",
        bootID: UUID().uuidString.lowercased(),
        peer: ""
    )
}
