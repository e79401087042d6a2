/// A template in the language of Jinja, as far as chat templates use it: what Hugging Face's
/// `apply_chat_template` renders with `ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)`,
/// loop controls and `{% generation %}`.
///
/// A template is a stranger's program: it reaches nothing but the values that it is given, and its steps, depth
/// and output are bounded. What is not rendered here is refused by name when it is read, or when it is met.
///
/// - SeeAlso: Jinja 3.1, `jinja2/parser.py`; Transformers, `utils/chat_template_utils.py`.
public struct Template {
    private let statements: [Statement]

    /// Bytes of a template's text.
    public static let byteLimit = 1 << 20

    /// Reads a template.
    ///
    /// - Throws: ``TemplateError`` (`syntax`, `unsupported`, `limit`).
    public init(_ text: String) throws(TemplateError) {
        guard text.utf8.count <= Self.byteLimit else {
            throw TemplateError(
                .limit,
                "\(text.utf8.count) bytes, more than a template's \(Self.byteLimit)"
            )
        }
        statements = try TemplateParser.parse(text)
    }

    /// Renders it.
    ///
    /// - Parameter values: What it may name.
    /// - Returns: The text, and the UTF-8 offsets of what stands in `{% generation %}`, in their order.
    /// - Throws: ``TemplateError``; `refused` with the template's own words.
    public func render(
        _ values: [String: TemplateValue]
    ) throws(TemplateError) -> (text: String, generated: [Range<Int>]) {
        try TemplateRenderer.render(statements, values)
    }
}
