// swift-tools-version: 6.2
import PackageDescription

/// Swift 6 mode with the upcoming access-level and existential rules; a warning fails the build.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]

let nioCore: Target.Dependency = .product(name: "NIOCore", package: "swift-nio")
let nioPosix: Target.Dependency = .product(name: "NIOPosix", package: "swift-nio")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let lifecycle: Target.Dependency = .product(
    name: "ServiceLifecycle",
    package: "swift-service-lifecycle"
)
let unixSignals: Target.Dependency = .product(
    name: "UnixSignals",
    package: "swift-service-lifecycle"
)
let argumentParser: Target.Dependency = .product(
    name: "ArgumentParser",
    package: "swift-argument-parser"
)
let subprocess: Target.Dependency = .product(name: "Subprocess", package: "swift-subprocess")
let yams: Target.Dependency = .product(name: "Yams", package: "Yams")
let orderedCollections: Target.Dependency = .product(
    name: "OrderedCollections",
    package: "swift-collections"
)
let grdb: Target.Dependency = .product(name: "GRDB", package: "GRDB.swift")
/// Of Hummingbird its server alone: sockets, connections and their ends, requests and responses as values.
let http: [Target.Dependency] = [
    .product(name: "HummingbirdCore", package: "hummingbird"),
    .product(name: "HTTPTypes", package: "swift-http-types"),
    .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
    .product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras"),
    .product(name: "NIOHTTP1", package: "swift-nio"),
    .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
    nioCore, nioPosix,
]

let numeric: [Target.Dependency] = [
    "Formats", "Kernels", "Quantization", "Devices", "Transformer", "ModelFiles",
]
let daemon: [Target.Dependency] = [
    "Jobs", "Serving", "ServiceKit", "Protocol", "JobSpecs", argumentParser, logging, lifecycle,
    unixSignals,
]

let package = Package(
    name: "qat",
    platforms: [.macOS(.v15)],
    products: [
        .executable(name: "qat-client", targets: ["qat-client"]),
        .executable(name: "qat-gateway", targets: ["Gateway"]),
        .executable(name: "qat-quantd", targets: ["QuantService"]),
        .executable(name: "qat-traind", targets: ["TrainService"]),
        .executable(name: "qat-evald", targets: ["EvalService"]),
        .executable(name: "qat-bench", targets: ["qat-bench"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-async-algorithms", from: "1.1.4"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle",
            from: "2.13.0"
        ),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        // Dictionaries that keep their order, as Python's do, for what chat templates are given.
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        // The gateway's HTTP front; without what reads configurations.
        .package(
            url: "https://github.com/hummingbird-project/hummingbird",
            from: "2.28.1",
            traits: []
        ),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        // Job files in YAML, read in the client alone.
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        // System libraries and C.
        .systemLibrary(
            name: "COpenSSL",
            pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"])]
        ),
        .systemLibrary(
            name: "CProtobufC",
            pkgConfig: "libprotobuf-c",
            providers: [.apt(["libprotobuf-c-dev"])]
        ),
        .systemLibrary(
            name: "CBLAS",
            pkgConfig: "openblas",
            providers: [.apt(["libopenblas-dev"])]
        ),
        .target(name: "CWire", dependencies: ["CProtobufC"]),
        .target(name: "CKernels"),
        // Message passing among ranks, by a library that is loaded at run time.
        .target(name: "CMPI"),
        // What daemons ask of the system in C: signals before main(), the memory of a child that ended.
        .target(name: "CSignals"),
        // Running what nobody has read: namespaces, Landlock, seccomp.
        .target(name: "CSandbox"),

        // Files that a crash leaves old or new, and how they are called: no other module.
        .target(name: "DurableFiles", swiftSettings: strict),

        // Number formats, recipes and methods as values: what numerics and job files share.
        .target(name: "Formats", swiftSettings: strict),

        // Numerics: no NIO, no logging, no protocol.
        .target(
            name: "Kernels",
            dependencies: ["CKernels", "CBLAS", "Formats"],
            swiftSettings: strict
        ),
        .target(
            name: "Quantization",
            dependencies: ["Formats", "Kernels"],
            swiftSettings: strict
        ),
        .target(
            name: "Devices",
            dependencies: ["CMPI", "Formats", "Kernels", "Quantization"],
            swiftSettings: strict
        ),
        .target(
            name: "Transformer",
            dependencies: ["Formats", "Kernels", "Quantization", "Devices"],
            swiftSettings: strict
        ),
        .target(
            name: "ModelFiles",
            dependencies: [
                "DurableFiles", "Formats", "Kernels", "Quantization", "Transformer", "Jinja",
                orderedCollections,
            ],
            swiftSettings: strict
        ),

        // Texts that models write: which tokens are computed when, how the next is drawn, where a text ends.
        .target(
            name: "Inference",
            dependencies: ["Kernels", "Devices", "Transformer", "ModelFiles"],
            swiftSettings: strict
        ),

        // Programs that models wrote, run where they do no harm: of no other module.
        .target(name: "Sandbox", dependencies: ["CSandbox"], swiftSettings: strict),

        // Public sets of questions: layouts, prompts, scores and statistics.
        .target(
            name: "Questions",
            dependencies: ["Transformer", "ModelFiles", "Inference"],
            swiftSettings: strict
        ),

        // The language of chat templates: pure, and of no other module.
        .target(name: "Jinja", dependencies: [orderedCollections], swiftSettings: strict),

        // The rules of a job's life as values and pure functions: no clock, no socket, no database.
        .target(name: "Jobs", swiftSettings: strict),

        // What served models are asked and answer, as values: of no other module.
        .target(name: "Serving", swiftSettings: strict),

        // Wire, jobs and what daemons share: no tensors.
        .target(
            name: "Protocol",
            dependencies: [
                "CWire", "CProtobufC", "COpenSSL", "Jobs", "Serving", nioCore, nioPosix, logging,
            ],
            swiftSettings: strict
        ),
        .target(name: "JobSpecs", dependencies: ["Formats", "Jobs"], swiftSettings: strict),
        .target(
            name: "ServiceKit",
            dependencies: [
                "CSignals", "DurableFiles", "Jobs", "Serving", "Protocol", "JobSpecs",
                argumentParser, logging, lifecycle,
                unixSignals, subprocess, .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "AsyncAlgorithms", package: "swift-async-algorithms"),
            ],
            swiftSettings: strict
        ),

        // What jobs ask of models and texts, for the client and the compute children alike.
        .target(
            name: "JobInputs",
            dependencies: numeric + ["JobSpecs", "Questions"],
            swiftSettings: strict
        ),

        // What the compute children share: jobs in terms of models and recipes.
        .target(
            name: "ComputeKit",
            dependencies: numeric + ["Jobs", "JobSpecs", "JobInputs", "ServiceKit"],
            swiftSettings: strict
        ),

        // Executables.
        .executableTarget(
            name: "Gateway",
            dependencies: daemon + http + ["DurableFiles", "Serving", grdb],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "QuantService",
            dependencies: daemon + numeric + ["ComputeKit", "JobInputs"],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "TrainService",
            dependencies: daemon + numeric + ["ComputeKit", "JobInputs"],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "EvalService",
            dependencies: daemon + numeric + [
                "ComputeKit", "Inference", "JobInputs", "Questions", "Sandbox",
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "qat-client",
            dependencies: numeric + [
                "DurableFiles", "Inference", "Jobs", "Serving", "Protocol", "JobSpecs", "JobInputs",
                argumentParser, logging, yams,
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "qat-bench",
            dependencies: numeric + ["Protocol", argumentParser, logging],
            path: "Benchmarks/qat-bench",
            swiftSettings: strict
        ),

        // Tests.
        .testTarget(
            name: "DurableFilesTests",
            dependencies: ["DurableFiles"],
            swiftSettings: strict
        ),
        .testTarget(name: "JobsTests", dependencies: ["Jobs"], swiftSettings: strict),
        .testTarget(
            name: "JinjaTests",
            dependencies: ["Jinja", orderedCollections],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SandboxTests",
            dependencies: ["Sandbox", "TestProgram"],
            resources: [.copy("Programs")],
            swiftSettings: strict
        ),
        // Programs that models write, apart from the services' tests, which compile for minutes.
        .testTarget(
            name: "CodeEvaluationTests",
            dependencies: [
                "EvalService", "JobInputs", "JobSpecs", "Jobs", "ModelFiles", "Sandbox",
            ],
            swiftSettings: strict
        ),
        .target(name: "CHeapUse", path: "Tests/CHeapUse"),
        .target(name: "CTestProgram", path: "Tests/CTestProgram"),
        .target(
            name: "TestProgram",
            dependencies: ["CTestProgram"],
            path: "Tests/TestProgram",
            swiftSettings: strict
        ),
        .testTarget(
            name: "FormatsTests",
            dependencies: ["Formats"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ProtocolTests",
            dependencies: [
                "Protocol", "TestProgram", nioCore, nioPosix, logging,
                .product(name: "NIOEmbedded", package: "swift-nio"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "QuantizationTests",
            dependencies: ["Formats", "Kernels", "Quantization"],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "TransformerTests",
            dependencies: [
                "CHeapUse", "CKernels", "Formats", "Kernels", "Quantization", "Devices",
                "Transformer",
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "InferenceTests",
            dependencies: numeric + ["Inference"],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ModelFilesTests",
            dependencies: [
                "DurableFiles", "Formats", "Kernels", "Quantization", "Devices", "Transformer",
                "ModelFiles",
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ArchitectureTests",
            dependencies: [
                "Formats", "Kernels", "Quantization", "Devices", "Transformer", "ModelFiles",
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        // Public sets of questions against lm-evaluation-harness.
        .testTarget(
            name: "QuestionsTests",
            dependencies: numeric + ["Inference", "Questions"],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        // The gateway's HTTP front over real sockets, with a real engine behind it.
        .testTarget(
            name: "GatewayHTTPTests",
            dependencies: numeric + [
                "Gateway", "Inference", "JobSpecs", "Jobs", "Protocol", "ServiceKit", "Serving",
                "TestProgram", argumentParser, lifecycle, logging, nioCore, nioPosix,
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        // How a training goes on and ends, apart from the services' tests, which compile for minutes.
        .testTarget(
            name: "TrainServiceTests",
            dependencies: numeric + [
                "TrainService", "ComputeKit", "Jobs", "JobSpecs", "ServiceKit", "TestProgram",
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: strict
        ),
        // Served models, apart from the services' other tests, which compile for minutes.
        .testTarget(
            name: "ServingTests",
            dependencies: [
                "EvalService", "Gateway", "Inference", "JobSpecs", "Jobs", "Kernels", "ModelFiles",
                "Protocol", "Serving", "TestProgram", "Transformer",
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ServiceTests",
            dependencies: daemon + numeric + [
                "Gateway", "QuantService", "TrainService", "EvalService", "qat-client", "Questions",
                grdb,
                subprocess, "ComputeKit", "DurableFiles", "JobInputs", "TestProgram",
            ],
            swiftSettings: strict
        ),
    ]
)
