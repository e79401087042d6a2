internal import CSandbox
internal import Foundation

/// What this machine, and what this process is allowed on it, have of a sandbox.
public struct SandboxSupport: Sendable, Hashable {
    /// The kernel's version of Landlock, from 1.
    public let landlockVersion: Int
    /// The strongest confinement that an interpreter was seen to run in.
    public let confinement: Confinement
    /// Stronger ones, and why they are not to be had.
    public let missing: [String]

    /// Looks by trying: what is told of a kernel and what a container lets through are two things.
    ///
    /// - Throws: ``SandboxError`` (`unsupported`) where the least that is needed, which is Landlock, filters of system
    ///   calls and limits, is not there or the interpreter does not run under it.
    public init(of interpreter: PythonInterpreter) throws {
        landlockVersion = try Self.minimum()
        var missing: [String] = []
        var found: Confinement?
        for confinement in Self.candidates where found == nil {
            if let fault = Self.fault(of: confinement, interpreter) {
                missing.append("\(confinement.words): \(fault)")
            } else {
                found = confinement
            }
        }
        guard let found else {
            throw SandboxError(
                .unsupported,
                "\(interpreter.path) does not run in a sandbox here: \(missing.joined(separator: "; "))"
            )
        }
        confinement = found
        self.missing = missing
    }

    /// What there is, in a sentence.
    public var sentence: String {
        let held =
            "Landlock \(landlockVersion), a filter of system calls, limits; \(confinement.words)"
        return missing.isEmpty
            ? held : held + " (not to be had: \(missing.joined(separator: "; ")))"
    }

    /// From the strongest on.
    ///
    /// Who is root and cannot become another user keeps at least no capability.
    static var candidates: [Confinement] {
        geteuid() == 0 ? Confinement.allCases : [.userNamespace, .sameUser]
    }

    /// Landlock's version.
    static func minimum() throws -> Int {
        let version = Int(qat_sandbox_landlock_version())
        guard version >= 1 else {
            throw SandboxError(
                .unsupported,
                "this kernel has no Landlock (\(reason(version))); Linux 5.13 or above with "
                    + "CONFIG_SECURITY_LANDLOCK and landlock in lsm= is needed, and a container that lets "
                    + "its system calls through"
            )
        }
        let filter = Int(qat_sandbox_filter_support())
        guard filter == 0 else {
            throw SandboxError(
                .unsupported,
                "filters of system calls are not to be had (\(reason(filter))); Linux with "
                    + "CONFIG_SECCOMP_FILTER on x86-64 or arm64 is needed"
            )
        }
        return version
    }

    private static func reason(_ number: Int) -> String {
        String(cString: strerror(Int32(-number)))
    }

    /// Why programs do not run so; nil if one did.
    static func fault(of confinement: Confinement, _ interpreter: PythonInterpreter) -> String? {
        let sandbox = Sandbox(
            interpreter,
            confinement: confinement,
            limits: SandboxLimits(processorSeconds: 10, wallSeconds: 60)
        )
        do {
            let outcome = try sandbox.run("import json, hashlib\nprint(json.dumps([1]))")
            if outcome.ending == .exited(0), outcome.output == Array("[1]\n".utf8) { return nil }
            let said =
                String(decoding: outcome.errors, as: UTF8.self)
                .split(separator: "\n").last.map { ": \($0.prefix(200))" } ?? ""
            return "the interpreter \(outcome.ending.words)\(said)"
        } catch {
            return "\(error)"
        }
    }
}
