internal import CWire
public import Serving

/// Asks a model for a text.
public struct GenerateRequest: WireMessage, Equatable {
    /// The name that it is served by, or the serve job's id.
    public var model: String
    /// What is asked for.
    public var request: TextRequest?

    /// Makes a message; every field has its wire default.
    public init(model: String = "", request: TextRequest? = nil) {
        self.model = model
        self.request = request
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_generate_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        model = try reader.text(1)
        request = try reader.message(2)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, model)
        writer.set(2, request)
    }
}

/// Asks which models are served.
public struct ListModelsRequest: WireMessage, Equatable {
    /// Makes a message.
    public init() {}

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_list_models_request())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {}

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {}
}

/// Models that the caller may use.
public struct ListModelsResponse: WireMessage, Equatable {
    /// By name.
    public var models: [ServedModel]

    /// Makes a message; every field has its wire default.
    public init(models: [ServedModel] = []) {
        self.models = models
    }

    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_list_models_response())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        models = try reader.messages(1)
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, models)
    }
}

extension ServedModel: WireMessage {
    /// The schema's name for this message.
    public static let schema = MessageSchema(qat_schema_served_model())

    /// Reads the fields.
    public init(from reader: MessageReader) throws {
        self.init(
            name: try reader.text(1),
            job: try reader.text(2),
            owner: try reader.text(3),
            created: reader.int64(4),
            length: Int(reader.uint32(5)),
            readyReplicas: Int(reader.uint32(6)),
            replicas: Int(reader.uint32(7))
        )
    }

    /// Writes the fields.
    public func encode(into writer: inout MessageWriter) {
        writer.set(1, name)
        writer.set(2, job)
        writer.set(3, owner)
        writer.set(4, created)
        writer.set(5, UInt32(clamping: length))
        writer.set(6, UInt32(clamping: readyReplicas))
        writer.set(7, UInt32(clamping: replicas))
    }
}
