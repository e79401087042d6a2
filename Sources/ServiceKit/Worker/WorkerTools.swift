/// What an operator gave a worker beside its own process, for jobs that need it.
public struct WorkerTools: Sendable {
    /// What starts several processes for a job; nil where one computes it.
    public var launcher: RankLauncher?
    /// The path of the interpreter that runs programs of models; nil where they are not to be run.
    public var codeInterpreter: String?

    /// Tools; by default none.
    public init(launcher: RankLauncher? = nil, codeInterpreter: String? = nil) {
        self.launcher = launcher
        self.codeInterpreter = codeInterpreter
    }
}
