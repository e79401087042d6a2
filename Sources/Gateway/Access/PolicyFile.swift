internal import Foundation
internal import Jobs
internal import Logging
internal import Synchronization

/// The policy in force, and the file it comes from: read again when it changes; a file that is
/// wrong changes nothing, and the log says why.
final class PolicyFile: Sendable {
    private struct State {
        var policy: AccessPolicy
        /// How often it was another one.
        var revision: UInt64 = 0
        var observers: [@Sendable () -> Void] = []
        /// What the file looked like when it was last read.
        var stamp: Stamp?
    }

    private struct Stamp: Equatable {
        let modified: Date?
        let size: Int?
        let file: Int?
    }

    private let path: String?
    private let state: Mutex<State>

    /// The policy of a file; without one, the built-in policy, until there is one.
    ///
    /// `isRequired`: Whether somebody named the file, so that it must be there.
    ///
    /// - Throws: ``StoreError`` if the file is there and wrong, or is not there and must be: a gateway
    ///   does not start with rules that nobody wrote.
    init(path: String?, isRequired: Bool = false) throws {
        self.path = path
        let stamp = path.flatMap(Self.stamp)
        if let path, isRequired, stamp == nil {
            throw StoreError(.unusable, "policy \(path): no such file, or it cannot be read")
        }
        state = Mutex(State(policy: try Self.read(path, stamp), stamp: stamp))
    }

    /// A fixed policy.
    init(_ policy: AccessPolicy) {
        path = nil
        state = Mutex(State(policy: policy))
    }

    /// The policy in force.
    var policy: AccessPolicy { state.withLock { $0.policy } }

    /// A number that grows with every change of the policy.
    var revision: UInt64 { state.withLock { $0.revision } }

    /// Has something done after every change, for as long as this file is there.
    func whenChanged(_ observer: @escaping @Sendable () -> Void) {
        state.withLock { $0.observers.append(observer) }
    }

    /// Puts another policy in force.
    func put(_ policy: AccessPolicy) {
        let observers = state.withLock { state in
            state.policy = policy
            state.revision += 1
            return state.observers
        }
        for observer in observers { observer() }
    }

    /// Reads the file again if it changed.
    func reload(_ logger: Logger) {
        guard let path else { return }
        let stamp = Self.stamp(path)
        guard state.withLock({ $0.stamp != stamp }) else { return }
        guard stamp != nil else {
            // Rules that are gone are not lifted.
            state.withLock { $0.stamp = nil }
            logger.error("policy \(path) is gone; the policy before stays in force")
            return
        }
        do {
            let policy = try Self.read(path, stamp)
            state.withLock { $0.stamp = stamp }
            put(policy)
            logger.notice("policy \(path) is in force")
        } catch {
            state.withLock { $0.stamp = stamp }
            logger.error("\(error); the policy before stays in force")
        }
    }

    private static func read(_ path: String?, _ stamp: Stamp?) throws -> AccessPolicy {
        guard let path, stamp != nil else { return AccessPolicy() }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw StoreError(.unusable, "policy \(path): cannot be read")
        }
        do {
            return try AccessPolicy(json: data)
        } catch let error as StoreError {
            throw StoreError(error.code, "policy \(path): \(error.message)")
        }
    }

    private static func stamp(_ path: String) -> Stamp? {
        // Of what a link leads to: mounted configurations are links that are moved.
        let target = URL(filePath: path).resolvingSymlinksInPath().path
        guard let found = try? FileManager.default.attributesOfItem(atPath: target) else {
            return nil
        }
        return Stamp(
            modified: found[.modificationDate] as? Date,
            size: found[.size] as? Int,
            file: found[.systemFileNumber] as? Int
        )
    }
}
