internal import Foundation
@testable internal import JobSpecs
internal import Testing

/// What a refusal says to write is accepted when it is written: every key of every kind, with the values
/// that people put there.
@Suite struct AdviceTests {
    /// A key, where it stands, and a document in which its value can be set.
    private struct Place {
        let path: String
        let field: ObjectSchema.Field
        let steps: [Step]

        enum Step {
            case key(String)
            /// A member of an object whose `type` is this.
            case typed(String, String)
            case first
        }

        /// The value as it stands at the place of an otherwise empty document.
        func document(_ value: JSONValue) -> JSONValue {
            steps.reversed().reduce(value) { inner, step in
                switch step {
                case .key(let key): .object([key: inner])
                case .typed(let type, let key): .object(["type": .string(type), key: inner])
                case .first: .array([inner])
                }
            }
        }
    }

    private static func places(
        _ schema: ObjectSchema,
        path: String = "$",
        steps: [Place.Step] = []
    ) -> [Place] {
        schema.fields.flatMap { field -> [Place] in
            let path = "\(path).\(field.name)"
            let steps = steps + [.key(field.name)]
            let place = Place(path: path, field: field, steps: steps)
            switch field.value {
            case .object(let inner): return [place] + places(inner, path: path, steps: steps)
            case .array(.object(let inner), _):
                return [place] + places(inner, path: path + "[0]", steps: steps + [.first])
            case .array(.variant(let variants), _):
                return [place]
                    + variants.flatMap { variant in
                        variant.schema.fields.filter { $0.name != "type" }.map { field in
                            Place(
                                path: "\(path)[0].\(field.name)",
                                field: field,
                                steps: steps + [.first, .typed(variant.name, field.name)]
                            )
                        }
                    }
            default: return [place]
            }
        }
    }

    /// Values as people write them, those of other tools among them.
    private static func values(_ field: ObjectSchema.Field) -> [String] {
        var values = [
            #""gguf""#, #""mxfp4""#, #""t.txt""#, #""CosineAnnealing""#, #""adamw""#,
            #""benchmark""#,
            #""100""#, #""0.5""#, #""true""#, #""False""#, "0", "1", "-1", "50.0", "4e7", "3e5",
            #"{"format": "gguf"}"#, #"{"until": 1, "algorithm": "fp8"}"#, "0.9", "true",
            #"[{"until": 1, "algorithm": "fp8"}]"#, #"["t.txt"]"#,
        ]
        values += field.pasted.keys
        return values
    }

    /// The JSON that a sentence says to write: what parses of the text behind "write ".
    private static func suggestion(_ message: String) -> JSONValue? {
        for lead in ["write ", "did you mean "] {
            guard let start = message.range(of: lead)?.upperBound else { continue }
            let rest = message[start...]
            let ends = rest.indices.reversed() + []
            for end in [rest.endIndex] + ends {
                let text = String(rest[..<end])
                if let value = try? JSONParser.parse(Array(text.utf8)).value { return value }
            }
        }
        return nil
    }

    private static func messages(
        _ document: JSONValue,
        _ text: String,
        _ schema: ObjectSchema,
        at path: String
    ) throws -> [String] {
        let parsed = try JSONParser.parse(Array(text.utf8))
        var validator = SchemaValidator(parsed, root: schema)
        validator.check(parsed.value, against: .object(schema), path: "$")
        return validator.violations.filter { $0.path == path }.map(\.message)
    }

    @Test(arguments: JobSchema.kinds)
    func whatIsSuggestedIsAccepted(kind: String) throws {
        let schema = try JobSchema.schema(fileKind: kind)
        var count = 0
        for place in Self.places(schema) {
            for value in Self.values(place.field) {
                // The text as written: 50.0 and 50 differ for some keys.
                let mark = JSONValue.string("\u{2603}")
                let text = place.document(mark).canonicalText
                    .replacingOccurrences(of: mark.canonicalText, with: value)
                let found = try Self.messages(place.document(mark), text, schema, at: place.path)
                guard let message = found.first, let better = Self.suggestion(message) else {
                    continue
                }
                count += 1
                let again = try Self.messages(
                    place.document(better),
                    place.document(better).canonicalText,
                    schema,
                    at: place.path
                )
                #expect(again.isEmpty, "\(place.path): \(value): \(message)")
            }
        }
        print("\(kind): \(count) suggestions were written and accepted")
        // A serve job has few keys.
        #expect(count > (kind == "serve" ? 5 : 20))
    }

    @Test(arguments: [
        (#""export": "gguf""#, "$.export", #"write [{"format": "gguf"}]"#),
        (#""export": {"format": "gguf"}"#, "$.export", #"write [{"format": "gguf"}]"#),
        (#""export": ["gguf"]"#, "$.export[0]", #"write {"format": "gguf"}"#),
        (#""quantization": "mxfp4""#, "$.quantization", #"write {"algorithm": "mxfp4"}"#),
        (#""data": "t.txt""#, "$.data", #"write {"train": ["t.txt"]}"#),
        (#""optim": "adamw""#, "$.optim", #"write {"name": "adamw"}"#),
        (
            #""optim": {"sched": "CosineAnnealing"}"#, "$.optim.sched",
            #"write {"name": "CosineAnnealing"}"#
        ),
        (
            #""quantization": {"algorithm": "fp4", "schedule": [{"until": 1, "algorithm": "fp4"}]}"#,
            "$.quantization.schedule", #"write {"stages": [{"algorithm": "fp4", "until": 1}]}"#
        ),
    ])
    func saysWhatAValueAloneWasMeantFor(member: String, path: String, advice: String) throws {
        let found = try Self.messages(.null, "{\(member)}", JobSchema.train, at: path)
        #expect(found.count == 1 && found[0].hasSuffix("; " + advice), "\(found)")
    }

    @Test func nothingIsSuggestedThatIsNotAllowedEither() throws {
        for member in [
            #""export": "onnx""#, #""quantization": 4"#, #""data": 7"#, #""trainer": 5"#,
        ] {
            let path = "$." + (member.split(separator: "\"").first.map(String.init) ?? "")
            let found = try Self.messages(.null, "{\(member)}", JobSchema.train, at: path)
            #expect(found.count == 1 && !found[0].contains("write"), "\(found)")
        }
    }

    /// Seen: `"esc\u001b[31m.txt" is not allowed; expected a path` of what is a path.
    @Test(
        arguments: [
            (#"esc\u001b[31m.txt"#, "it holds U+001B, which does not print; rename the file"),
            (#"a\nb"#, "it holds U+000A, which does not print; rename the file"),
            (#"a\u007fb"#, "it holds U+007F, which does not print"), ("", "it is empty"),
            (String(repeating: "a", count: 4097), "it has 4097 bytes; the limit is 4096"),
            ("sha256:00ff", "sha256: takes 64 hexadecimal digits, not 4"),
            (
                "sha256:" + String(repeating: "xy", count: 32),
                "sha256: takes 64 hexadecimal digits, not others"
            ),
            ("job:", "the id is missing"), ("job:/model", "the id is missing"),
            ("job:a b", "an id has 1 to 128 letters, digits, - and _"),
            ("job:a/../b", "an output is a plain relative path"),
            ("job:a/", "an output is a plain relative path"),
        ] as [(String, String)]
    )
    func aTextThatNamesNoInputIsToldWhy(text: String, why: String) {
        let json = #"{"model": "\#(text)", "quantization": {"algorithm": "mxfp4"}}"#
        let error = #expect(throws: JobSpecError.self) {
            try JobSpec.parse(kind: "quantize", json: Array(json.utf8))
        }
        let found = error?.violations.first
        #expect(found?.path == "$.model")
        #expect(found?.message.contains(why) == true, "\(found?.message ?? "")")
    }
}
