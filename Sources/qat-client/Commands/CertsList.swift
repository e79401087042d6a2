internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Protocol

extension CertsCommand {
    /// Shows a folder's certificates.
    struct List: ClientVerb {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract: "Show whom a folder's certificates name and when they end.",
            discussion: "Exits with 1 if one has ended or ends within --within days."
        )

        @Option(help: "The folder.")
        var dir: String
        @Option(help: "Days that a certificate should last at least.")
        var within = 30
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (0...36_500).contains(within) else {
                throw ValidationError("--within takes a number of days from 0 to 36500.")
            }
        }

        func perform() async throws -> ExitStatus {
            try TargetFolder.check(dir, option: "--dir")
            let files: [String]
            do {
                files = try FileManager.default.contentsOfDirectory(atPath: dir)
                    .filter { $0.hasSuffix(".pem") }.sorted()
            } catch {
                throw ClientError(.usage, "\(dir): cannot be read as a folder")
            }
            guard !files.isEmpty else {
                throw ClientError(.usage, "\(dir): holds no certificates (*.pem)")
            }
            let now = Date.now
            let limit = now.addingTimeInterval(Double(within) * 86_400)
            var table = TextTable(columns: [
                .init(heading: "FILE"), .init(heading: "NAME"), .init(heading: "ENDS"),
            ])
            var isOneEnding = false
            for file in files {
                var found: [(name: String, validity: CertificateValidity)] = []
                try CertsCommand.locally {
                    found = try CertificateValidity.read(path: "\(dir)/\(file)")
                }
                for (name, validity) in found {
                    isOneEnding = isOneEnding || validity.ends <= limit
                    if output.json {
                        Console.print(Self.json(file, name, validity))
                    } else {
                        table.append([file, name, validity.sentence(at: now)])
                    }
                }
            }
            if !output.json {
                Console.print(table.rendered(within: Console.tableColumns))
            }
            return isOneEnding ? .failed : .succeeded
        }

        private static func json(
            _ file: String,
            _ name: String,
            _ validity: CertificateValidity
        ) -> JSONValue {
            .object([
                "file": .string(file), "name": .string(name),
                "ends_at": .string(
                    Quantities.timestamp(unixMs: validity.endsUnixMs)
                ),
            ])
        }
    }
}
