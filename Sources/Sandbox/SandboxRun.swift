internal import CSandbox
internal import Foundation

/// One way of running programs: the plan of a run, but for the program.
struct SandboxRun: Sendable {
    /// The interpreter's path, which it takes for its own.
    let path: String
    /// The interpreter, without links.
    let executable: String
    let readable: [String]
    let links: [String]
    let confinement: Confinement
    let limits: SandboxLimits

    /// As little as possible: no module is written, the user's own modules are not looked for, sets have the same order
    /// in every run, and the program comes from standard input.
    private static let arguments = ["-s", "-B", "-"]
    private static let environment = ["PYTHONHASHSEED=0"]

    /// Runs a program to its end, on this thread.
    ///
    /// - Throws: ``SandboxError`` (`preparation`) if it did not begin.
    func run(_ program: String) throws -> SandboxOutcome {
        let scratch = try Self.makeFolder()
        // Files alone can be in it.
        defer { try? FileManager.default.removeItem(atPath: scratch) }
        let capacity = limits.outputByteCount
        var result = qat_sandbox_result()
        var errors: [UInt8] = []
        let output = [UInt8](unsafeUninitializedCapacity: capacity) { output, count in
            errors = [UInt8](unsafeUninitializedCapacity: capacity) { errors, count in
                result = call(program, scratch, output, errors)
                count = result.error_count
            }
            count = result.output_count
        }
        guard result.step == QAT_SANDBOX_READY else {
            throw SandboxError(
                .preparation,
                "\(Self.words(of: result.step)): \(String(cString: strerror(result.error)))"
            )
        }
        return SandboxOutcome(
            ending: ending(of: result),
            output: output,
            errors: errors,
            wallSeconds: Double(result.wall_us) / 1e6,
            processorSeconds: Double(result.cpu_us) / 1e6,
            peakByteCount: Int(result.peak_bytes)
        )
    }

    private func call(
        _ program: String,
        _ scratch: String,
        _ output: UnsafeMutableBufferPointer<UInt8>,
        _ errors: UnsafeMutableBufferPointer<UInt8>
    ) -> qat_sandbox_result {
        let arguments = CStrings([path] + Self.arguments)
        let environment = CStrings(Self.environment)
        let paths = (CStrings(readable), CStrings(links))
        let own = CStrings([executable, scratch])
        var program = program
        var plan = qat_sandbox_plan()
        var result = qat_sandbox_result()
        let user = confinement.changesUser ? Int64(Confinement.nobody) : -1
        plan.executable = own.constantList?[0]
        plan.scratch = own.constantList?[1]
        plan.arguments = arguments.list
        plan.environment = environment.list
        plan.readable = paths.0.constantList
        plan.links = paths.1.constantList
        plan.namespaces =
            switch confinement {
            case .namespaces: QAT_SANDBOX_NAMESPACES
            case .userNamespace: QAT_SANDBOX_USER_NAMESPACE
            case .otherUser, .sameUser: QAT_SANDBOX_SHARED
            }
        plan.user_id = user
        plan.group_id = user
        plan.wall_ms = Int64(limits.wallSeconds * 1000)
        plan.cpu_ms = Int64(limits.processorSeconds * 1000)
        plan.address_space_bytes = Int64(limits.memoryByteCount)
        plan.scratch_bytes = Int64(limits.scratchByteCount)
        plan.scratch_files = Int64(limits.scratchFileCount)
        plan.open_files = Int64(limits.openFileCount)
        plan.output_bytes = Int64(limits.outputByteCount)
        withExtendedLifetime((arguments, environment, paths, own)) {
            program.withUTF8 { bytes in
                plan.input = UnsafeRawPointer(bytes.baseAddress)
                plan.input_count = bytes.count
                qat_sandbox_run(&plan, output.baseAddress, errors.baseAddress, &result)
            }
        }
        return result
    }

    private func ending(of result: qat_sandbox_result) -> SandboxOutcome.Ending {
        switch result.kill {
        case QAT_SANDBOX_KILLED_WALL: return .tookTooLong
        case QAT_SANDBOX_KILLED_CPU: return .usedUpProcessorTime
        case QAT_SANDBOX_KILLED_OUTPUT: return .wroteTooMuch
        case QAT_SANDBOX_KILLED_SCRATCH: return .filledScratch
        default: break
        }
        return result.signal == 0 ? .exited(result.status) : .signaled(result.signal)
    }

    private static func makeFolder() throws -> String {
        let path = NSTemporaryDirectory() + "/qat-sandbox-XXXXXX"
        var name = Array(path.utf8CString)
        guard mkdtemp(&name) != nil else {
            throw SandboxError(
                .preparation,
                "a scratch folder like \(path) cannot be made: \(String(cString: strerror(errno)))"
            )
        }
        return String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func words(of step: qat_sandbox_step) -> String {
        switch step {
        case QAT_SANDBOX_STEP_RESOURCES: "pipes and files in memory"
        case QAT_SANDBOX_STEP_CLONE: "a process in its namespaces"
        case QAT_SANDBOX_STEP_USER_MAP: "the users of a user namespace"
        case QAT_SANDBOX_STEP_MOUNTS: "mounting in a mount namespace"
        case QAT_SANDBOX_STEP_READABLE: "mounting what the interpreter reads"
        case QAT_SANDBOX_STEP_ROOT: "a root folder of its own"
        case QAT_SANDBOX_STEP_SCRATCH: "a scratch folder"
        case QAT_SANDBOX_STEP_USER: "another user, or no capabilities"
        case QAT_SANDBOX_STEP_LANDLOCK: "rules of Landlock"
        case QAT_SANDBOX_STEP_LIMITS: "resource limits"
        case QAT_SANDBOX_STEP_FILTER: "a filter of system calls"
        case QAT_SANDBOX_STEP_EXECUTE: "the interpreter's start"
        default: "an unknown step"
        }
    }
}
