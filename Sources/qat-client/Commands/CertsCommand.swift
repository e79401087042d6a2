internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Jobs
internal import Protocol

/// `certs`: certificates for a deployment.
struct CertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs",
        abstract: "Make a certificate authority, and certificates for daemons and users.",
        subcommands: [Init.self, Issue.self, List.self]
    )

    /// Makes the authority.
    struct Init: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "init",
            abstract: "Make ca.pem and ca.key; keep the key off the servers."
        )

        @Option(help: "The folder.")
        var dir: String
        @Option(help: "The trust domain that all names start with.")
        var trustDomain = "qat"
        @Option(help: "Days until the authority expires.")
        var days = 3650
        @Flag(help: "Replace an authority that is there; its certificates stop working.")
        var force = false
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (1...36_500).contains(days) else {
                throw ValidationError("--days takes a number from 1 to 36500.")
            }
        }

        func perform() async throws -> ExitStatus {
            try TargetFolder.check(dir, option: "--dir")
            let certificate = dir + "/ca.pem"
            guard force || access(certificate, F_OK) != 0 else {
                throw ClientError(.usage, "\(certificate) exists; --force replaces it")
            }
            try PrivateFiles.createFolder(dir)
            try CertsCommand.locally {
                try PrivateFiles.replacing(force ? [certificate, dir + "/ca.key"] : []) {
                    try CertificateAuthority.createAuthority(
                        in: dir,
                        trustDomain: trustDomain,
                        validity: .seconds(days * 86_400)
                    )
                }
            }
            output.json
                ? Console.print(.object(["ca": .string(certificate)])) : Console.print(certificate)
            return .succeeded
        }
    }

    /// Makes a certificate.
    struct Issue: ClientVerb {
        static let doesMoreThanPrint = true
        static let configuration = CommandConfiguration(
            commandName: "issue",
            abstract: "Make NAME.pem and NAME.key for a daemon or a user."
        )
        private static let roles = Role.allCases.map(\.rawValue)

        @Option(help: "The authority's folder, where the files go, too.")
        var dir: String
        @Option(
            help: "ROLE/INSTANCE of a daemon; roles are \(roles.joined(separator: ", "))."
        )
        var service: String?
        @Option(help: "The name of a user.")
        var user: String?
        @Option(help: "A DNS name or IP address at which a daemon is reached; may be repeated.")
        var host: [String] = []
        @Option(help: "Days until the certificate expires.")
        var days = 90
        @Flag(help: "Replace a certificate that is there.")
        var force = false
        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard (service == nil) != (user == nil) else {
                throw ValidationError("Give either --service ROLE/INSTANCE or --user NAME.")
            }
            guard (1...3650).contains(days) else {
                throw ValidationError("--days takes a number from 1 to 3650.")
            }
            _ = try subject()
        }

        func perform() async throws -> ExitStatus {
            try TargetFolder.check(dir, option: "--dir")
            let (subject, name) = try subject()
            let (certificate, key) = ("\(dir)/\(name).pem", "\(dir)/\(name).key")
            let authority = "\(dir)/\(CertificateAuthority.certificateName)"
            guard access(authority, F_OK) == 0 else {
                throw ClientError(
                    .usage,
                    "\(authority): no such file; qat-client certs init --dir \(dir) makes an authority"
                )
            }
            for file in [certificate, key] where !force && access(file, F_OK) == 0 {
                throw ClientError(.usage, "\(file) exists; --force replaces it")
            }
            try CertsCommand.locally {
                try PrivateFiles.replacing(force ? [certificate, key] : []) {
                    _ = try CertificateAuthority.issue(
                        subject: subject,
                        hosts: host,
                        authorityFolder: dir,
                        folder: dir,
                        name: name,
                        validity: .seconds(days * 86_400)
                    )
                }
            }
            output.json
                ? Console.print(
                    .object(["certificate": .string(certificate), "key": .string(key)])
                )
                : Console.print("\(certificate)\n\(key)")
            return .succeeded
        }

        private func subject() throws -> (PeerIdentity.Subject, name: String) {
            if let user {
                guard Self.isName(user) else {
                    throw ValidationError(
                        "--user takes letters, digits, -, _ and .; ca is the authority's name."
                    )
                }
                return (.user(name: user), user)
            }
            let parts = (service ?? "").split(separator: "/", omittingEmptySubsequences: false)
            guard parts.count == 2, Self.roles.contains(String(parts[0])),
                Self.isName(String(parts[1]))
            else {
                throw ValidationError(
                    "--service takes ROLE/INSTANCE with a role of \(Self.roles.joined(separator: ", "))."
                )
            }
            let instance = String(parts[1])
            return (.service(role: String(parts[0]), instance: instance), instance)
        }

        private static func isName(_ text: String) -> Bool {
            // ca.pem and ca.key are the authority's own.
            (1...64).contains(text.utf8.count) && !text.hasPrefix(".") && text != "ca"
                && text.unicodeScalars.allSatisfy {
                    $0.isASCII
                        && ($0.properties.isAlphabetic || $0.properties.numericType != nil
                            || "-_.".unicodeScalars.contains($0))
                }
        }
    }
}

extension CertsCommand {
    /// Runs what makes certificates: no gateway is asked, so none refuses.
    ///
    /// - Throws: ``ClientError``: `failed` for files that cannot be written, else `usage`, for those that are
    ///   wrong.
    static func locally(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let error as RPCError {
            throw ClientError(error.cause is UnwrittenFile ? .failed : .usage, error.message)
        }
    }
}
