internal import JobSpecs
internal import Protocol

/// `artifacts verify --all`: what the gateway finds when it reads all that it stores.
struct ArtifactsAudit {
    let isJSON: Bool

    /// Has the gateway read everything; faults are printed as they are found.
    ///
    /// - Returns: Failure if an artifact is damaged or missing.
    func run() async throws -> ExitStatus {
        let last = try await GatewayConnection.with(QatHome()) { client in
            var last = VerifyArtifactsReport()
            try await client.stream(QatMethods.verifyArtifacts, VerifyArtifactsRequest()) {
                report in
                last = report
                if let fault = report.fault {
                    tell(fault)
                } else if !isJSON, Console.showsNotesOnTerminal {
                    Console.overwriteNote(Self.progress(report))
                }
            }
            return last
        }
        if isJSON {
            Console.print(Self.json(last))
        } else {
            if Console.showsNotesOnTerminal { Console.overwriteNote("") }
            Console.print(Self.progress(last))
        }
        return last.faults == 0 ? .succeeded : .failed
    }

    private static func progress(_ report: VerifyArtifactsReport) -> String {
        "\(report.checked) artifacts, \(Quantities.bytes(report.bytes)) read, "
            + "\(report.faults) damaged or missing"
    }

    private static func json(_ report: VerifyArtifactsReport) -> JSONValue {
        .object([
            "intact": .boolean(report.faults == 0),
            "artifacts": .number(Double(report.checked)),
            "bytes": .number(Double(report.bytes)),
            "faults": .number(Double(report.faults)),
        ])
    }

    private func tell(_ fault: ArtifactFault) {
        // Of a row that cannot be read nobody knows the digest.
        let isKnown = fault.digest != .zero
        let verdict = isKnown ? fault.missing ? "missing" : "damaged" : "unreadable"
        guard !isJSON else {
            Console.print(
                .object([
                    "digest": .string("sha256:" + fault.digest.hex),
                    "verdict": .string(verdict),
                    "message": .string(fault.message),
                    "job_ids": .array(fault.jobIDs.map { .string($0) }),
                    "jobs": .number(Double(fault.jobs)),
                ])
            )
            return
        }
        if Console.showsNotesOnTerminal { Console.overwriteNote("") }
        guard isKnown else { return Console.print("\(verdict)  \(fault.message)") }
        let shown = fault.jobIDs.joined(separator: ", ")
        let rest = UInt64(fault.jobIDs.count) < fault.jobs ? ", …" : ""
        let jobs = fault.jobs == 0 ? "of no job" : "of \(fault.jobs) jobs: \(shown)\(rest)"
        Console.print("\(verdict)  sha256:\(fault.digest.hex)  \(jobs)")
    }
}
