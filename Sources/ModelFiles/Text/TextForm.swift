internal import Foundation

/// What a file is that is no plain text, told by its first bytes, and the command that makes text of
/// it.
enum TextForm {
    private struct Signature: Sendable {
        let bytes: [UInt8]
        var offset = 0
        let kind: String
        /// The command, with IN and OUT for the files; nil without one.
        let command: String?
        /// What to do instead, of what no command makes text of.
        var advice = ""
        /// What is cut from the name for the output's.
        var suffixes: [String] = []
        /// Whether the output is JSON lines.
        var isTable = false

        func matches(_ start: UnsafeRawBufferPointer) -> Bool {
            guard start.count >= offset + bytes.count else { return false }
            return bytes.indices.allSatisfy { start[offset + $0] == bytes[$0] }
        }
    }

    private static let parquet =
        "python3 -c \"import pandas, sys; pandas.read_parquet(sys.argv[1])"
        + ".to_json(sys.argv[2], orient='records', lines=True)\" IN OUT"
    private static let arrow =
        "python3 -c \"import datasets, sys; datasets.Dataset.from_file(sys.argv[1])"
        + ".to_json(sys.argv[2])\" IN OUT"

    /// Longer signatures stand before their beginnings: UTF-32's is UTF-16's with two zeros.
    private static let signatures: [Signature] = [
        .init(
            bytes: [0x1F, 0x8B],
            kind: "gzip",
            command: "gunzip -c IN > OUT",
            suffixes: [".gz", ".gzip"]
        ),
        .init(
            bytes: [0x28, 0xB5, 0x2F, 0xFD],
            kind: "zstd",
            command: "zstd -dc IN > OUT",
            suffixes: [".zst", ".zstd"]
        ),
        .init(
            bytes: [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0],
            kind: "xz",
            command: "xz -dc IN > OUT",
            suffixes: [".xz"]
        ),
        .init(
            bytes: text("BZh"),
            kind: "bzip2",
            command: "bzip2 -dc IN > OUT",
            suffixes: [".bz2"]
        ),
        .init(
            bytes: [0x50, 0x4B, 3, 4],
            kind: "zip",
            command: "unzip -p IN > OUT",
            suffixes: [".zip"]
        ),
        .init(
            bytes: text("ustar"),
            offset: 257,
            kind: "tar",
            command: "tar -xOf IN > OUT",
            suffixes: [".tar"]
        ),
        .init(
            bytes: text("PAR1"),
            kind: "parquet",
            command: parquet,
            suffixes: [".parquet"],
            isTable: true
        ),
        .init(
            bytes: text("ARROW1"),
            kind: "arrow",
            command: arrow,
            suffixes: [".arrow", ".feather"],
            isTable: true
        ),
        .init(
            bytes: text("%PDF-"),
            kind: "PDF",
            command: "pdftotext IN OUT",
            suffixes: [".pdf"]
        ),
        .init(bytes: [0xFF, 0xFE, 0, 0], kind: "UTF-32", command: iconv("UTF-32")),
        .init(bytes: [0, 0, 0xFE, 0xFF], kind: "UTF-32", command: iconv("UTF-32")),
        .init(bytes: [0xFF, 0xFE], kind: "UTF-16", command: iconv("UTF-16")),
        .init(bytes: [0xFE, 0xFF], kind: "UTF-16", command: iconv("UTF-16")),
        .init(bytes: text("GGUF"), kind: "GGUF", command: nil, advice: model),
        .init(bytes: [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59], kind: "NumPy", command: nil),
        .init(
            bytes: CorpusIndex.magic,
            kind: "the index of a Megatron corpus",
            command: nil,
            advice:
                "; a job reads a corpus with \"data_impl\": \"mmap\" and the common prefix of .bin "
                + "and .idx"
        ),
    ]

    private static let model = ", a model; a job names it as a model"

    /// Why a file that begins with these bytes is not read; nil if it may be text.
    ///
    /// `start`: At least the first 512 bytes, or all. `path`: What commands name.
    static func refusal(
        _ start: UnsafeRawBufferPointer,
        name: String,
        path: String
    ) -> String? {
        if let prefix = corpusPrefix(path) {
            return """
                \(name): this is the .bin of a Megatron corpus, whose .idx lies beside it, not UTF-8 text; \
                a job reads it with "data_impl": "mmap" and the prefix \(quoted(prefix))
                """
        }
        if isSafetensors(start) {
            return "\(name): this is safetensors, not UTF-8 text\(model) by its folder"
        }
        for signature in signatures where signature.matches(start) {
            let what = "\(name): this is \(signature.kind), not UTF-8 text"
            guard let command = signature.command else { return what + signature.advice }
            let output = output(path, cutting: signature.suffixes, isTable: signature.isTable)
            return "\(what); convert it: \(filled(command, path, output))"
        }
        guard let byteOrder = unmarkedUTF16(start) ?? unmarkedUTF32(start) else { return nil }
        return """
            \(name): this looks like \(byteOrder), not UTF-8 text; convert it: \
            \(conversion(of: path, from: byteOrder))
            """
    }

    /// The command that converts a file from another encoding.
    static func conversion(of name: String, from encoding: String) -> String {
        filled(iconv(encoding), name, output(name, cutting: []))
    }

    /// The command that leaves out what is broken.
    static func repair(of name: String) -> String {
        filled("iconv -c -f UTF-8 -t UTF-8 IN > OUT", name, output(name, cutting: []))
    }

    /// A command with names in it.
    static func filled(_ command: String, _ name: String) -> String {
        filled(command, name, output(name, cutting: []))
    }

    private static func filled(_ command: String, _ name: String, _ output: String) -> String {
        // The words are looked for before names are in, which may hold them.
        command.split(separator: " ").map { word in
            word == "IN" ? quoted(name) : word == "OUT" ? quoted(output) : String(word)
        }.joined(separator: " ")
    }

    /// What the names of a corpus begin with whose tokens a file holds; nil if no index lies beside it.
    ///
    /// Tokens of small numbers, or of one byte each, may well pass for text.
    private static func corpusPrefix(_ path: String) -> String? {
        guard path.hasSuffix(IndexedCorpus.suffixes[0]) else { return nil }
        let prefix = String(path.dropLast(IndexedCorpus.suffixes[0].utf8.count))
        guard let index = try? MappedFile(path: prefix + IndexedCorpus.suffixes[1]) else {
            return nil
        }
        return withExtendedLifetime(index) {
            index.bytes.starts(with: CorpusIndex.magic) ? prefix : nil
        }
    }

    /// Whether a file begins with the length of a JSON object, in eight bytes, and the object.
    private static func isSafetensors(_ start: UnsafeRawBufferPointer) -> Bool {
        guard start.count > 9, start[8] == UInt8(ascii: "{") else { return false }
        return UInt64(littleEndian: start.loadUnaligned(as: UInt64.self)) <= 100_000_000
    }

    /// Latin text in UTF-32 has one byte of four that is no zero.
    private static func unmarkedUTF32(_ start: UnsafeRawBufferPointer) -> String? {
        let count = min(start.count, 512) / 4 * 4
        guard count >= 16 else { return nil }
        var zeros = [0, 0, 0, 0]
        for index in 0..<count where start[index] == 0 { zeros[index % 4] += 1 }
        let (all, share) = (count / 4, count / 4 * 3 / 4)
        if zeros[0] == 0, zeros[1] >= share, zeros[2] == all, zeros[3] == all { return "UTF-32LE" }
        let isBig = zeros[3] == 0 && zeros[2] >= share && zeros[1] == all && zeros[0] == all
        return isBig ? "UTF-32BE" : nil
    }

    /// Latin text in UTF-16 has a zero in every second byte.
    private static func unmarkedUTF16(_ start: UnsafeRawBufferPointer) -> String? {
        let count = min(start.count, 512) / 2 * 2
        guard count >= 8 else { return nil }
        var zeros = [0, 0]
        for index in 0..<count where start[index] == 0 { zeros[index % 2] += 1 }
        let share = count / 2 * 3 / 4
        if zeros[1] >= share, zeros[0] == 0 { return "UTF-16LE" }
        return zeros[0] >= share && zeros[1] == 0 ? "UTF-16BE" : nil
    }

    /// Where a converted file may go: to a name that nothing has yet.
    private static func output(
        _ name: String,
        cutting suffixes: [String],
        isTable: Bool = false
    ) -> String {
        unused(wanted(name, cutting: suffixes, isTable: isTable))
    }

    /// A path that nothing has: the one that is wanted, or with a number before its ending.
    static func unused(_ path: String) -> String {
        let manager = FileManager.default
        guard manager.fileExists(atPath: path) else { return path }
        let start = path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex
        let dot =
            path[start...].lastIndex(of: ".").flatMap { $0 > start ? $0 : nil } ?? path.endIndex
        let paths = (2...1_000).lazy.map { "\(path[..<dot])-\($0)\(path[dot...])" }
        return paths.first { !manager.fileExists(atPath: $0) } ?? path
    }

    private static func wanted(
        _ name: String,
        cutting suffixes: [String],
        isTable: Bool
    ) -> String {
        for suffix in suffixes where name.lowercased().hasSuffix(suffix) && name != suffix {
            let stem = String(name.dropLast(suffix.count))
            if isTable { return stem + ".jsonl" }
            return stem.contains(".") ? stem : stem + ".txt"
        }
        guard !isTable else { return name + ".jsonl" }
        guard let dot = name.lastIndex(of: "."), dot > name.startIndex else {
            return name + ".utf8"
        }
        return name[..<dot] + ".utf8" + name[dot...]
    }

    /// A name as a shell takes it.
    static func quoted(_ name: String) -> String {
        let isPlain = name.utf8.allSatisfy {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0 | 0x20)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                || "._-+,".utf8.contains($0)
        }
        guard !isPlain || name.hasPrefix("-") else { return name }
        return "'"
            + name.split(separator: "'", omittingEmptySubsequences: false)
            .joined(separator: #"'\''"#) + "'"
    }

    private static func iconv(_ encoding: String) -> String {
        "iconv -f \(encoding) -t UTF-8 IN > OUT"
    }

    private static func text(_ text: StaticString) -> [UInt8] { Array(text.description.utf8) }
}
