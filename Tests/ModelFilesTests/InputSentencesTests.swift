internal import Foundation
internal import Testing
internal import Transformer

@testable internal import ModelFiles

/// What is said of files that other tools write and this one does not read.
struct InputSentencesTests {
    /// Names and numbers as in the Python package gguf 0.19.0, `GGMLQuantizationType`.
    @Test(arguments: [
        (6, "Q5_0"), (7, "Q5_1"), (9, "Q8_1"), (10, "Q2_K"), (11, "Q3_K"), (16, "IQ2_XXS"),
        (20, "IQ4_NL"), (23, "IQ4_XS"), (28, "F64"), (29, "IQ1_M"), (34, "TQ1_0"), (41, "Q1_0"),
        (99, "of the unknown ggml type 99"),
    ])
    func typesOfGGUFAreNamed(code: UInt32, name: String) {
        #expect(GGMLTypeName.text(code) == name)
        #expect(GGUFTensorType(rawValue: code) == nil)
    }

    @Test func typesThatAreReadHaveTheirNamesToo() {
        for type in GGUFTensorType.allCases {
            #expect(GGMLTypeName.text(type.rawValue) == "\(type)".uppercased())
        }
    }

    @Test(arguments: ["NaN", "Infinity", "-Infinity"])
    func pythonsNumbersAreRefusedByTheirKey(word: String) throws {
        let folder = try TemporaryFolder()
        let plain = QuantizedModel(model: try TinyModel.make(), stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .bf16, folder: folder.path)
        )
        let path = folder.path + "/config.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let broken = text.replacing("{", with: "{\"rope_theta_x\": \(word), ", maxReplacements: 1)
        _ = try folder.write(Array(broken.utf8), "config.json")
        let error = #expect(throws: ModelFileError.self) { try ModelLoader.open(path: folder.path) }
        let message = error?.message ?? ""
        #expect(message.contains("\"rope_theta_x\" is \(word)"), "\(message)")
        let list = broken.replacing(": \(word),", with: ": [1, \(word)],")
        _ = try folder.write(Array(list.utf8), "config.json")
        let other = #expect(throws: ModelFileError.self) { try ModelLoader.open(path: folder.path) }
        #expect(other?.message.contains("not valid JSON: \(word)") == true)
    }

    /// Configurations of models of text alone keep the key, with nothing in it.
    @Test(arguments: [("null", true), ("{}", false)])
    func anEmptyPartOfMoreThanTextIsNone(value: String, isRead: Bool) throws {
        let folder = try TemporaryFolder()
        let plain = QuantizedModel(model: try TinyModel.make(), stored: [:])
        _ = try plain.write(
            to: HuggingFaceWriter(plain.description, format: .bf16, folder: folder.path)
        )
        let path = folder.path + "/config.json"
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let more = text.replacing("{", with: "{\"vision_config\": \(value), ", maxReplacements: 1)
        _ = try folder.write(Array(more.utf8), "config.json")
        if isRead {
            _ = try ModelLoader.open(path: folder.path)
        } else {
            let error = #expect(throws: ModelFileError.self) {
                try ModelLoader.open(path: folder.path)
            }
            #expect(error?.message.contains("vision_config") == true)
        }
    }

    @Test func aLineWithoutAValueIsBrokenAndNoTextOfAnotherKind() throws {
        let folder = try TemporaryFolder()
        for (line, part) in [
            ("{\"text\":}", "not valid JSON"), ("{\"text\": NaN}", "not valid JSON"),
            ("{\"text\": 5}", "\"text\" is no text"),
            ("{\"text\": [\"a\"]}", "\"text\" is no text"),
        ] {
            let path = try folder.write(Array((line + "\n").utf8), "d.jsonl")
            let error = #expect(throws: ModelFileError.self) {
                try TextFile(path: path, key: "text").checkDocuments()
            }
            #expect(error?.message.contains(part) == true, "\(error?.message ?? "")")
        }
    }
}
