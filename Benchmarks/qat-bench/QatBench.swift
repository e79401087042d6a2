internal import ArgumentParser

/// Measures the suite; each subcommand prints JSON lines.
@main
struct QatBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "qat-bench",
        abstract: "Measures one subject and prints JSON lines.",
        discussion: """
            Figures on shared machines drift: compare ratios measured in one run, and repeat.
            """,
        subcommands: [
            RPCBenchmark.self, KernelBenchmark.self, TrainBenchmark.self, DecodeBenchmark.self,
            GatewayBenchmark.self,
        ]
    )
}
