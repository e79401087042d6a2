internal import Foundation
internal import Transformer

/// config.json and generation_config.json of a model: what they say, and how they are written.
struct HuggingFaceConfiguration {
    let model: ModelConfiguration
    /// All keys of config.json.
    let object: JSONObject
    /// config.json as it stands.
    let members: JSONMembers

    /// Reads config.json, and the tokens of the generation_config.json beside it, if there is one.
    ///
    /// - Throws: ``ModelFileError``, naming the key that is missing, wrong, or not computed.
    init(path: String) throws(ModelFileError) {
        object = try JSONValue.object(path: path, byteLimit: 8 << 20, limit: 1 << 18)
        let text = try FileSystem.read(path, limit: 8 << 20)
        members = try JSONMembers(text, path: path, limit: 1 << 18)
        var keys = ConfigurationKeys(object)
        let family = try ModelFamilies.family(of: &keys)
        var model = try family.configuration(from: &keys)
        let folder = (path as NSString).deletingLastPathComponent
        try Self.readGeneration("\(folder)/generation_config.json", into: &model)
        self.model = model
    }

    /// Generation goes by generation_config.json; config.json has the tokens that it lacks.
    private static func readGeneration(
        _ path: String,
        into model: inout ModelConfiguration
    ) throws(ModelFileError) {
        guard FileSystem.exists(path) else { return }
        let root = try JSONValue.object(path: path, byteLimit: 8 << 20, limit: 1 << 18)
        var keys = ConfigurationKeys(root)
        let bos = try keys.tokens("bos_token_id")?.first
        let eos = try keys.tokens("eos_token_id")
        let pad = try keys.tokens("pad_token_id")?.first
        let all =
            [("bos_token_id", bos), ("pad_token_id", pad)]
            + (eos ?? []).map { ("eos_token_id", $0) }
        for case (let key, let token?) in all where token >= model.vocabularySize {
            throw keys.malformed(key, "is \(token), but vocab_size is \(model.vocabularySize)")
        }
        model.bosToken = bos ?? model.bosToken
        model.eosTokens = eos ?? model.eosTokens
        model.padToken = pad ?? model.padToken
    }

    /// config.json of a model, with `quantization` unless nil.
    ///
    /// - Throws: ``ModelFileError`` (`unsupported`) if the model's family has no room for what it
    ///   computes.
    static func render(
        _ model: ModelConfiguration,
        dtype: String,
        quantization: [String: Any]?
    ) throws(ModelFileError) -> [UInt8] {
        let name = model.architecture.family
        guard let family = ModelFamilies.named(name) else {
            throw ModelFileError(.unsupported, "config.json: \(name) is no family of models")
        }
        var root = try family.keys(of: model)
        root["torch_dtype"] = dtype
        root["quantization_config"] = quantization
        return try json(root, name: "config.json")
    }

    static func json(_ root: [String: Any], name: String) throws(ModelFileError) -> [UInt8] {
        do {
            let options: JSONSerialization.WritingOptions = [
                .prettyPrinted, .sortedKeys, .withoutEscapingSlashes,
            ]
            return [UInt8](try JSONSerialization.data(withJSONObject: root, options: options))
        } catch {
            throw ModelFileError(.inputOutput, "\(name) cannot be written: \(error)")
        }
    }
}
