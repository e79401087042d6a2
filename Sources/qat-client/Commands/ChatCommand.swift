internal import ArgumentParser
internal import Foundation
internal import Inference
internal import JobSpecs
internal import ModelFiles

/// `chat`: a conversation with a model on this machine.
struct ChatCommand: ClientVerb {
    static let configuration = CommandConfiguration(
        commandName: "chat",
        abstract: "Talk with a model on this machine (--local) by its own chat template.",
        discussion: """
            Each line of the standard input is a message; the model answers, and remembers what was said \
            until the conversation is as long as its context. An empty line is skipped, the input's end \
            (Ctrl-D) ends the conversation. Models that a gateway serves are not in this version.
            """
    )

    @OptionGroup var generation: GenerationOptions
    @Option(help: "What the model is told before the first message.")
    var system: String?
    @OptionGroup var output: OutputOptions

    func perform() async throws -> ExitStatus {
        let model = try generation.load(texts: 1)
        guard model.chatTemplate != nil else {
            throw ClientError(
                .usage,
                "\(generation.local) has no chat template; qat-client generate continues texts"
            )
        }
        var messages = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
        let asks = isatty(STDIN_FILENO) == 1 && Console.isTerminal
        while true {
            if asks { Console.stream("> ") }
            guard let line = readLine() else { break }
            guard !line.allSatisfy(\.isWhitespace) else { continue }
            messages.append(ChatMessage(role: "user", content: line))
            let answer = try answer(messages, model)
            messages.append(ChatMessage(role: "assistant", content: answer))
        }
        if asks { Console.stream("\n") }
        return .succeeded
    }

    private func answer(_ messages: [ChatMessage], _ model: LoadedEngine) throws -> String {
        let tokens: [Int32]
        do {
            tokens = try model.tokens(answering: messages)
        } catch {
            throw ClientError(.usage, error.message)
        }
        _ = model.engine.add(try generation.request(tokens, of: model.engine))
        var (text, count) = ("", 0)
        try generation.write(model.engine) { event in
            text += event.text
            if event.token != nil { count += 1 }
            if !output.json { Console.stream(event.text) }
            guard let finish = event.finish, finish != .nonFinite else { return }
            end(text, count, tokens.count, finish)
        }
        return text
    }

    private func end(_ text: String, _ count: Int, _ promptCount: Int, _ finish: FinishReason) {
        guard output.json else {
            Console.stream("\n")
            if finish == .length { Console.note("cut off: --max-tokens or the context's length") }
            return
        }
        Console.print(
            .object([
                "role": .string("assistant"),
                "content": .string(text),
                "finish_reason": .string(finish.rawValue),
                "prompt_tokens": .number(Double(promptCount)),
                "tokens": .number(Double(count)),
            ])
        )
    }
}
