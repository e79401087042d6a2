internal import Foundation

/// An interpreter of Python, and what of the file system it needs.
public struct PythonInterpreter: Sendable, Hashable {
    /// Its path, as it was configured.
    public let path: String
    /// Its version, as `3.11.2`.
    public let version: String
    /// The program itself, without links.
    let executable: String
    /// Folders and files that it reads, without links; files are also executed.
    let readable: [String]
    /// Links on the way there, path and target in turn.
    let links: [String]

    /// Looks at an interpreter by running it.
    ///
    /// It is the operator's own, and no program of anybody else's is run; it may read everything meanwhile.
    ///
    /// - Throws: ``SandboxError``: the file is no program, or its standard library is not whole.
    public init(path: String) throws {
        self.path = path
        var links = SymbolicLinks()
        executable = try Self.program(path, &links)
        let loaders = Self.loaders.compactMap { links.follow($0) }
        let findings = try Self.ask(path, executable, loaders)
        version = findings.version
        var folders = Set<String>()
        var files = Set([executable] + loaders)
        for folder in findings.folders + findings.libraries + Self.data {
            if let found = links.follow(folder) { folders.insert(found) }
        }
        // A virtual environment says there where its interpreter is from.
        if let found = links.follow(findings.prefix + "/pyvenv.cfg") { files.insert(found) }
        if let found = links.follow("/etc/ld.so.cache") { files.insert(found) }
        // Where the loader looks by itself.
        for folder in ["/lib", "/lib64", "/usr/lib"] { _ = links.follow(folder) }
        guard !folders.contains("/") else {
            throw SandboxError(
                .interpreter,
                "\(path): its module path holds the root folder; a program could read everything"
            )
        }
        let outermost = folders.filter { folder in
            !folders.contains { folder != $0 && folder.hasPrefix($0 + "/") }
        }
        .sorted()
        readable = outermost + files.sorted()
        self.links = links.outside(outermost)
    }

    /// Loaders of dynamic libraries, by what programs name them.
    private static let loaders = [
        "/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-x86_64.so.1",
        "/lib/ld-musl-aarch64.so.1",
    ]

    /// Beside its own: time zones.
    private static let data = ["/usr/share/zoneinfo"]

    private static func program(_ path: String, _ links: inout SymbolicLinks) throws -> String {
        guard path.hasPrefix("/"), let executable = links.follow(path),
            FileManager.default.isExecutableFile(atPath: executable),
            let file = FileHandle(forReadingAtPath: executable)
        else {
            throw SandboxError(
                .interpreter,
                "\(path) is no program; the full path of a Python interpreter is needed"
            )
        }
        defer { try? file.close() }
        guard (try? file.read(upToCount: 4)) == Data([0x7F] + Array("ELF".utf8)) else {
            throw SandboxError(
                .interpreter,
                "\(path) is a script, not the interpreter itself; python3 -c 'import sys; "
                    + "print(sys.executable)' prints where that is"
            )
        }
        return executable
    }

    /// What an interpreter says of itself.
    private struct Findings: Decodable {
        var version: String
        var prefix: String
        var folders: [String]
        var libraries: [String]
    }

    private static func ask(
        _ path: String,
        _ executable: String,
        _ loaders: [String]
    ) throws -> Findings {
        let outcome = try SandboxRun(
            path: path,
            executable: executable,
            readable: ["/", executable] + loaders,
            links: [],
            confinement: .sameUser,
            limits: SandboxLimits(processorSeconds: 30)
        ).run(question)
        guard outcome.ending == .exited(0),
            let findings = try? JSONDecoder().decode(Findings.self, from: Data(outcome.output))
        else {
            let said =
                String(decoding: outcome.errors, as: UTF8.self)
                .split(separator: "\n").last.map { ": \($0.prefix(200))" } ?? ""
            throw SandboxError(
                .interpreter,
                "\(path) does not work as Python 3.8 or above with its whole standard library: it "
                    + outcome.ending.words + said
            )
        }
        return findings
    }

    /// Folders of modules, and of libraries that modules of the standard library in C bring in.
    private static let question = """
        import sys
        assert sys.version_info >= (3, 8), sys.version
        import asyncio, bisect, bz2, collections, csv, dataclasses, datetime, decimal, fractions
        import hashlib, heapq, json, lzma, math, os, random, re, statistics, string, struct, typing
        import unicodedata, zlib
        try:
            import ctypes
        except MemoryError:  # where no memory may be written and executed
            pass
        mapped = {line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if "/" in line}
        print(json.dumps({
            "version": ".".join(map(str, sys.version_info[:3])),
            "prefix": sys.prefix,
            "folders": [path for path in sys.path if os.path.isdir(path) and path],
            "libraries": sorted({os.path.dirname(path) for path in mapped
                                 if os.path.isfile(path) and ".so" in os.path.basename(path)}),
        }))
        """
}
