/// Runs programs in Python that nobody has read.
///
/// Each is one process that can make no other, without a network, with the interpreter's own files to read, a small folder
/// to write, nothing open but its three streams, an empty environment, and limits of time, memory, files and output. It
/// ends with the run, and with the thread that waits for it.
public struct Sandbox: Sendable {
    /// What runs the programs.
    public let interpreter: PythonInterpreter
    /// What they see of the system.
    public let confinement: Confinement
    /// What they may use.
    public let limits: SandboxLimits

    /// A sandbox as strong as the machine has it.
    public init(
        _ interpreter: PythonInterpreter,
        support: SandboxSupport,
        limits: SandboxLimits = SandboxLimits()
    ) {
        self.init(interpreter, confinement: support.confinement, limits: limits)
    }

    package init(
        _ interpreter: PythonInterpreter,
        confinement: Confinement,
        limits: SandboxLimits = SandboxLimits()
    ) {
        self.interpreter = interpreter
        self.confinement = confinement
        self.limits = limits
    }

    /// Runs a program to its end; blocks the calling thread until then.
    ///
    /// It finds its text on standard input, which is at its end for whoever reads there. Any number may run at a time.
    ///
    /// - Throws: ``SandboxError`` (`preparation`) if it did not begin, which says nothing of the program.
    public func run(_ program: String) throws -> SandboxOutcome {
        try SandboxRun(
            path: interpreter.path,
            executable: interpreter.executable,
            readable: interpreter.readable,
            links: interpreter.links,
            confinement: confinement,
            limits: limits
        ).run(program)
    }
}
