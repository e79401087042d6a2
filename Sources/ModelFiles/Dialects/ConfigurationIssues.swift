/// What is wrong with a quantization configuration, collected as it is read.
///
/// A reader throws the first refusal, if any; a linter reports everything.
struct ConfigurationIssues {
    /// Something that is wrong.
    struct Issue {
        /// What it means for a reader.
        enum Gravity: Equatable {
            /// It cannot be read.
            case refusal(ModelFileError.Code)
            /// It is read, but servers refuse it or compute wrong numbers.
            case error
            /// It is read, but is unusual, or some servers complain.
            case warning
        }

        let gravity: Gravity
        /// What it means for a linter.
        let severity: LintFinding.Severity
        /// The file, and the keys that lead to it.
        let place: String
        let message: String
    }

    private(set) var all: [Issue] = []

    /// Adds what cannot be read.
    ///
    /// `severity`: What a linter makes of it; nil for a warning of what is only not known here, and an
    /// error of what is wrong everywhere.
    mutating func refuse(
        _ code: ModelFileError.Code,
        _ place: String,
        _ message: String,
        severity: LintFinding.Severity? = nil
    ) {
        let usual: LintFinding.Severity = code == .unsupported ? .warning : .error
        add(.refusal(code), severity ?? usual, place, message)
    }

    mutating func error(_ place: String, _ message: String) {
        add(.error, .error, place, message)
    }

    mutating func warning(_ place: String, _ message: String) {
        add(.warning, .warning, place, message)
    }

    private mutating func add(
        _ gravity: Issue.Gravity,
        _ severity: LintFinding.Severity,
        _ place: String,
        _ message: String
    ) {
        all.append(Issue(gravity: gravity, severity: severity, place: place, message: message))
    }

    /// What can be read of an object, or nil and a refusal.
    mutating func read<Value>(
        _ object: JSONObject?,
        _ body: (JSONObject) throws(ModelFileError) -> Value?
    ) -> Value? {
        guard let object else { return nil }
        do {
            return try body(object)
        } catch {
            let prefix = object.place + ": "
            let message = error.message
            refuse(
                error.code,
                object.place,
                message.hasPrefix(prefix) ? String(message.dropFirst(prefix.count)) : message
            )
            return nil
        }
    }

    /// A list of modules; empty if there is none.
    mutating func names(
        _ object: JSONObject,
        _ key: String,
        _ syntax: ModuleNames.Syntax
    ) -> ModuleNames {
        let texts = read(object) { root throws(ModelFileError) in try root.texts(key) }
        let names = ModuleNames(texts ?? [], syntax)
        let place = "\(object.place): \(key)"
        do {
            try names.check(place: place)
        } catch {
            refuse(
                error.code,
                place,
                String(error.message.dropFirst(place.count + 2)),
                severity: .error
            )
        }
        return names
    }

    /// Throws the first refusal.
    func throwRefusal() throws(ModelFileError) {
        for issue in all {
            if case .refusal(let code) = issue.gravity {
                throw ModelFileError(code, "\(issue.place): \(issue.message)")
            }
        }
    }
}
