public import Devices
public import ModelFiles
public import Transformer

/// A model that answers prompts greedily, as lm-evaluation-harness lets it.
public struct AnswerWriter {
    /// Prompts that lack their beginning, for want of positions.
    public private(set) var cutCount = 0
    private let model: LoadedModel
    private let activations: ActivationQuantization
    private let device: any ComputeDevice
    /// Tokens that say nothing.
    private let special: Set<Int32>
    /// With room for the longest prompt so far.
    private var generator: Generator?

    /// A model whose inputs, keys and values are rounded as `activations` says.
    public init(
        _ model: LoadedModel,
        activations: ActivationQuantization = .none,
        device: any ComputeDevice
    ) {
        self.model = model
        self.activations = activations
        self.device = device
        special = Set(model.tokenizer.addedTokens.filter(\.isSpecial).map(\.id))
    }

    /// What the model says to a prompt: up to what ends an answer, and without it.
    ///
    /// `onToken`: Called with each token's place in the text; throwing stops.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if the model's positions leave no room for an answer;
    ///   ``TransformerError`` as ``Generator`` does.
    public mutating func answer(
        to prompt: String,
        onToken: (_ place: Int, _ capacity: Int) throws -> Void = { _, _ in }
    ) throws -> String {
        let tokens = try tokens(of: prompt)
        let generator = try generator(for: tokens.count + GSM8K.answerLength)
        generator.reset()
        try generator.append(tokens)
        var found: [Int32] = []
        while true {
            let token = generator.sample(SamplingOptions())
            found.append(token)
            guard !model.configuration.eosTokens.contains(Int(token)),
                found.count < GSM8K.answerLength, !GSM8K.ends(text(of: found))
            else { break }
            try onToken(tokens.count + found.count, tokens.count + GSM8K.answerLength)
            try generator.append([token])
        }
        return GSM8K.cut(text(of: found), endOfText: endOfText)
    }

    /// The prompt's tokens, as many of its last ones as leave room for an answer.
    private mutating func tokens(of prompt: String) throws(ModelFileError) -> [Int32] {
        let configuration = model.configuration
        let room = configuration.maximumPositions - GSM8K.answerLength
        guard room > 0 else {
            throw ModelFileError(
                .unsupported,
                "the model's \(configuration.maximumPositions) positions leave no room for the "
                    + "\(GSM8K.answerLength) tokens of an answer"
            )
        }
        let tokens = model.tokenizer.encode(
            prompt,
            // The harness adds a start to Gemma's texts alone.
            addingSpecialTokens: configuration.architecture.family.hasPrefix("gemma")
        )
        if tokens.count > room { cutCount += 1 }
        return Array(tokens.suffix(room))
    }

    private func text(of tokens: [Int32]) -> String {
        model.tokenizer.decode(tokens.filter { !special.contains($0) })
    }

    private var endOfText: String? {
        model.tokenizer.addedTokens.first { token in
            token.isSpecial && model.configuration.eosTokens.first == Int(token.id)
        }?.text
    }

    private mutating func generator(for count: Int) throws -> Generator {
        if let generator, generator.capacity >= count { return generator }
        let made = try Generator(
            parameters: model.parameters,
            activations: activations,
            // Half as much again, so that few are made.
            capacity: min(count + count / 2, max(model.configuration.maximumPositions, count)),
            device: device
        )
        generator = made
        return made
    }
}
