internal import ComputeKit
internal import Foundation
internal import JobSpecs
internal import Kernels
internal import ServiceKit

/// What another machine needs to repeat a run: its settings, its inputs, and where it ran.
struct RunDescription {
    /// The job's specification as JSON, with the defaults of this version written out.
    let config: String
    let inputs: [Input]
    let environment: Environment

    /// An input of the job.
    struct Input: Encodable, Equatable {
        /// Its place in the specification, as `$.data.train[0]`.
        let place: String
        /// What the job calls it.
        let reference: String
        let files: [ComputeRequest.InputFile]
    }

    /// What a run's bits depend on beside its settings and inputs.
    struct Environment: Encodable {
        /// The suite's version.
        let qat: String
        let processor: Processor
        let blas: Library
        /// Threads, on which no bit depends.
        let threads: Int
        /// The operating system and its kernel.
        let system: String
        /// The seed of everything random, of which each draw has its own stream.
        let seed: UInt64
        /// The attempt that ended the run, from 1.
        let attempt: Int
        /// The step that this attempt went on from; what came before may have run on another machine.
        let resumedFromStep: Int
    }

    /// The machine's processor.
    struct Processor: Encodable {
        let model: String
        let architecture: String
        /// Those that arithmetic is chosen by.
        let instructionSets: [String]
        /// Which twins kernels take.
        let kernels: String
        /// Whether products of BF16 operands are the processor's own.
        let multipliesBf16: Bool
    }

    /// The library of matrix products.
    struct Library: Encodable {
        let configuration: String
        /// The processor whose kernels it takes.
        let core: String
    }

    /// Describes a run on this machine; `resumedFrom`: The step that its last attempt began at.
    ///
    /// `holdsConversations`: Whether its texts have some.
    ///
    /// - Throws: `JobSpecError` if the request's specification is none.
    init(
        _ request: ComputeRequest,
        seed: UInt64,
        resumedFrom step: Int,
        holdsConversations: Bool
    ) throws {
        let job = try ParsedJob(kind: request.kind, json: Array(request.spec.utf8))
        config = job.resolved(holdsConversations: holdsConversations).indentedText + "\n"
        inputs = job.spec.inputReferences.map { reference in
            Input(
                place: JSONPath.path(ofPointer: reference.pointer),
                reference: reference.text,
                files: request.inputFiles[reference.pointer] ?? []
            )
        }
        environment = Environment(
            qat: SuiteVersion.current,
            processor: .current,
            blas: Library(
                configuration: ProcessorDescription.blasConfiguration,
                core: ProcessorDescription.blasCore
            ),
            threads: request.threads,
            system: Self.system,
            seed: seed,
            attempt: request.attempt,
            resumedFromStep: step
        )
    }

    /// Writes config.json, inputs.json and environment.json into a folder.
    ///
    /// - Throws: What Foundation throws for files that cannot be written.
    func write(to folder: String) throws {
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let files: [(name: String, data: Data)] = [
            ("config.json", Data(config.utf8)),
            ("inputs.json", try ResultJSON.data(inputs, isPretty: true)),
            ("environment.json", try ResultJSON.data(environment, isPretty: true)),
        ]
        for file in files {
            try file.data.write(to: URL(fileURLWithPath: "\(folder)/\(file.name)"))
        }
    }

    /// As `Linux 6.12.8 (Debian GNU/Linux 13 (trixie))`.
    private static var system: String {
        var name = utsname()
        uname(&name)
        func text(_ field: some Any) -> String {
            withUnsafeBytes(of: field) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        }
        let release = "\(text(name.sysname)) \(text(name.release))"
        return "\(release) (\(ProcessInfo.processInfo.operatingSystemVersionString))"
    }
}

extension RunDescription.Processor {
    /// That of this machine.
    static var current: Self {
        let info = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
        return Self(
            cpuinfo: info,
            kernels: ProcessorDescription.kernels,
            multipliesBF16: ProcessorDescription.multipliesBF16
        )
    }

    /// What Linux says of its first processor.
    init(cpuinfo: String, kernels: String, multipliesBF16: Bool) {
        var fields: [String: String] = [:]
        for line in cpuinfo.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map {
                $0.trimmingCharacters(in: .whitespaces)
            }
            if parts.count == 2, fields[parts[0]] == nil { fields[parts[0]] = parts[1] }
        }
        let flags = (fields["flags"] ?? fields["Features"] ?? "").split(separator: " ")
        let prefixes = ["sse4", "avx", "fma", "f16c", "amx", "asimd", "bf16", "i8mm", "sve"]
        model = fields["model name"] ?? fields["CPU part"] ?? "unknown"
        instructionSets = flags.map(String.init).filter { flag in
            prefixes.contains { flag.hasPrefix($0) }
        }
        #if arch(arm64)
            architecture = "aarch64"
        #else
            architecture = "x86_64"
        #endif
        self.kernels = kernels
        multipliesBf16 = multipliesBF16
    }
}
