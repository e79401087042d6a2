internal import ArgumentParser
internal import Foundation
internal import Inference
internal import JobSpecs

/// `generate`: texts that a model on this machine continues prompts with.
struct GenerateCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract:
            "Continue prompts with a model on this machine (--local); several at the same time.",
        discussion: """
            A prompt is continued as it stands; qat-client chat puts it into the model's chat template. \
            Without a prompt one is read from the standard input. A prompt alone is written as its tokens \
            come, several when they end. Models that a gateway serves are not in this version.
            """
    )

    @OptionGroup var generation: GenerationOptions
    @Argument(help: "Prompts.")
    var prompts: [String] = []
    @OptionGroup var output: OutputOptions

    private struct Text {
        let prompt: String
        let promptTokens: Int
        var text = ""
        var tokens = 0
    }

    func perform() async throws -> ExitStatus {
        let prompts = try prompts.isEmpty ? [Self.standardInput()] : prompts
        let model = try generation.load(texts: prompts.count)
        let start = ContinuousClock.now
        var texts: [Int: Text] = [:]
        for prompt in prompts {
            let tokens = model.tokens(prompt)
            let number = model.engine.add(try generation.request(tokens, of: model.engine))
            texts[number] = Text(prompt: prompt, promptTokens: tokens.count)
        }
        let streams = prompts.count == 1 && !output.json
        try generation.write(model.engine) { event in
            texts[event.request]?.text += event.text
            if event.token != nil { texts[event.request]?.tokens += 1 }
            if streams { Console.stream(event.text) }
            guard let finish = event.finish, finish != .nonFinite, let text = texts[event.request]
            else { return }
            if !streams || !text.text.hasSuffix("\n") { tell(text, finish, event.stop, streams) }
        }
        if !output.json { note(texts.values.reduce(0) { $0 + $1.tokens }, since: start) }
        return .succeeded
    }

    private func tell(_ text: Text, _ finish: FinishReason, _ stop: String?, _ streams: Bool) {
        guard output.json else {
            // What streamed is there but for the end of its line.
            Console.print(streams ? "" : text.prompt + text.text + "\n")
            return
        }
        Console.print(
            .object([
                "prompt": .string(text.prompt),
                "text": .string(text.text),
                "finish_reason": .string(finish.rawValue),
                "stop": stop.map { .string($0) } ?? .null,
                "prompt_tokens": .number(Double(text.promptTokens)),
                "tokens": .number(Double(text.tokens)),
            ])
        )
    }

    private func note(_ tokens: Int, since start: ContinuousClock.Instant) {
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        let rate = (Double(tokens) / max(seconds, 1e-9)).formatted(
            .number.precision(.fractionLength(1))
        )
        Console.note(
            "\(tokens) tokens in \(Quantities.duration(seconds: seconds)), \(rate) a second"
        )
    }

    private static func standardInput() throws -> String {
        let data = FileHandle.standardInput.readDataToEndOfFile()
        guard let text = String(validating: data, as: UTF8.self), !text.isEmpty else {
            throw ClientError(
                .usage,
                "no prompt: name one, or write one in UTF-8 to the standard input"
            )
        }
        return text
    }
}
