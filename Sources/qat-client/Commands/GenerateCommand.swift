internal import ArgumentParser
internal import Foundation
internal import JobSpecs
internal import Serving
internal import Synchronization

/// `generate`: texts that a model continues prompts with.
struct GenerateCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract:
            "Continue prompts with a served model (--model) or one on this machine (--local).",
        discussion: """
            A prompt is continued as it stands; qat-client chat puts it into the model's chat template. \
            Without a prompt one is read from the standard input. A prompt alone is written as its tokens \
            come, several when they end. Several are written at the same time.
            """
    )

    @OptionGroup var generation: GenerationOptions
    @Argument(help: "Prompts.")
    var prompts: [String] = []
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        let prompts = try prompts.isEmpty ? [Self.standardInput()] : prompts
        let requests = prompts.map { generation.request(.text($0)) }
        let streams = prompts.count == 1 && !output.json
        let texts = Mutex(Array(repeating: WrittenText(), count: prompts.count))
        let start = Mutex(ContinuousClock.now)
        try await generation.withWriter(texts: prompts.count) { writer in
            start.withLock { $0 = .now }
            try await Console.endingLine(of: { streams ? texts.withLock { $0[0].text } : "" }) {
                try await writer.write(requests) { [self] index, answer in
                    let text = texts.withLock { texts in
                        texts[index].take(answer)
                        return texts[index]
                    }
                    if streams, case .text(_, let piece, _) = answer { Console.stream(piece) }
                    guard case .finished = answer else { return }
                    if !streams || !text.text.hasSuffix("\n") {
                        tell(prompts[index], text, streams)
                    }
                }
            }
        }
        if !output.json {
            let tokens = texts.withLock { $0.reduce(0) { $0 + $1.tokens } }
            note(tokens, since: start.withLock { $0 })
        }
        return .succeeded
    }

    private func tell(_ prompt: String, _ text: WrittenText, _ streams: Bool) {
        guard output.json else {
            // What streamed is there but for the end of its line.
            Console.print(streams ? "" : prompt + text.text + "\n")
            return
        }
        Console.print(
            .object([
                "prompt": .string(prompt),
                "text": .string(text.text),
                "finish_reason": .string(text.reason),
                "stop": text.stop.map { .string($0) } ?? .null,
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
