internal import ArgumentParser
internal import Foundation
internal import Inference
internal import JobSpecs
internal import Serving
internal import Synchronization

/// `chat`: a conversation with a model.
struct ChatCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract:
            "Talk with a served model (--model) or one on this machine (--local) by its chat template.",
        discussion: """
            Each line of the standard input is a message; the model answers, and remembers what was said \
            until the conversation is as long as its context. An empty line is skipped, the input's end \
            (Ctrl-D) ends the conversation.
            """
    )

    @OptionGroup var generation: GenerationOptions
    @Option(help: "What the model is told before the first message.")
    var system: String?
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        try await generation.withWriter(texts: 1) { writer in
            if case .local(let model) = writer, model.chatTemplate == nil {
                throw ClientError(
                    .usage,
                    "\(generation.local ?? "") has no chat template; qat-client generate continues texts"
                )
            }
            try await talk(writer)
        }
        return .succeeded
    }

    private func talk(_ writer: TextWriter) async throws {
        var messages = system.map { [Self.message("system", $0)] } ?? []
        let asks = isatty(STDIN_FILENO) == 1 && Console.isTerminal
        while true {
            if asks { Console.stream("> ") }
            guard let line = readLine() else { break }
            guard !line.allSatisfy(\.isWhitespace) else { continue }
            messages.append(Self.message("user", line))
            let answer = try await answer(messages, writer)
            messages.append(Self.message("assistant", answer))
        }
        if asks { Console.stream("\n") }
    }

    private static func message(_ role: String, _ content: String) -> JSONValue {
        .object(["role": .string(role), "content": .string(content)])
    }

    private func answer(_ messages: [JSONValue], _ writer: TextWriter) async throws -> String {
        let json = JSONValue.array(messages).canonicalText
        let request = generation.request(.conversation(messages: json, tools: nil))
        let written = Mutex(WrittenText())
        try await Console.endingLine(of: { output.json ? "" : written.withLock { $0.text } }) {
            try await writer.write([request]) { [self] _, answer in
                written.withLock { $0.take(answer) }
                if !output.json, case .text(_, let piece, _) = answer { Console.stream(piece) }
            }
        }
        let text = written.withLock { $0 }
        end(text)
        return text.text
    }

    private func end(_ text: WrittenText) {
        guard output.json else {
            Console.stream("\n")
            if text.reason == "length" {
                Console.note("cut off: --max-tokens or the context's length")
            }
            return
        }
        Console.print(
            .object([
                "role": .string("assistant"),
                "content": .string(text.text),
                "finish_reason": .string(text.reason),
                "prompt_tokens": .number(Double(text.promptTokens)),
                "tokens": .number(Double(text.tokens)),
            ])
        )
    }
}
