internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import ModelFiles

/// `tokenize`: the tokens of a text, on this machine.
struct TokenizeCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "tokenize",
        abstract: "Print the tokens of a text file; no gateway is asked."
    )

    @Option(help: "A Hugging Face folder, a GGUF file, a tokenizer.json or a tokenizer.model.")
    var model: String
    @Flag(help: "Add the tokens that the model wants at a text's ends.")
    var special = false
    @Argument(help: "A text in UTF-8.")
    var file: String
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        guard let data = FileManager.default.contents(atPath: file) else {
            let isThere = FileManager.default.fileExists(atPath: file)
            throw ClientError(.usage, "\(file): \(isThere ? "cannot be read" : "no such file")")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw ClientError(.usage, "\(file): not UTF-8")
        }
        let tokenizer: Tokenizer
        do {
            tokenizer = try Tokenizer(path: model)
        } catch {
            throw ClientError(.usage, error.message)
        }
        let tokens = tokenizer.encode(text, addingSpecialTokens: special)
        guard !output.json else {
            Console.print(.object(["tokens": .array(tokens.map { .number(Double($0)) })]))
            return .succeeded
        }
        Console.print(tokens.map(String.init).joined(separator: " "))
        return .succeeded
    }
}
