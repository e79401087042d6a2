internal import Jinja
internal import Testing

@Suite("Templates in the language of Jinja")
struct TemplateTests {
    private func outcome(
        _ template: String,
        _ values: [String: TemplateValue] = [:]
    ) -> Result<String, TemplateError> {
        Result { () throws(TemplateError) in try Template(template).render(values).text }
    }

    private func code(_ template: String) -> TemplateError.Code? {
        guard case .failure(let error) = outcome(template) else { return nil }
        return error.code
    }

    /// 1,800 expressions and templates: the text byte for byte, the places of {% generation %}, and where Jinja
    /// refuses, whether it does so on reading, on rendering, or in the template's own words.
    @Test func rendersAsJinjaDoes() throws {
        let fixture = try TemplateFixture.read()
        #expect(fixture.cases.count > 1_500)
        for found in fixture.cases {
            let values = try fixture.values(of: found)
            do throws(TemplateError) {
                let rendered = try Template(found.template).render(values)
                #expect(rendered.text == found.text, "\(found.name)")
                let ranges = rendered.generated.map { [$0.lowerBound, $0.upperBound] }
                #expect(ranges == found.generated, "\(found.name)")
            } catch {
                let stage = found.error.map(stage)
                #expect(stage == self.stage("\(error.code)"), "\(found.name): \(error)")
                if let message = found.message { #expect(error.description == message) }
            }
        }
    }

    private func stage(_ error: String) -> String {
        switch error {
        case "syntax", "unsupported": "reading"
        case "type", "undefined": "rendering"
        default: error
        }
    }

    @Test(
        "What is not rendered here is refused by its name",
        arguments: [
            ("{% include 'a' %}", "include"), ("{% call f() %}{% endcall %}", "call"),
            ("{{ [1] | groupby('a') }}", "groupby"),
            ("{{ 1 is nothing }}", "nothing"),
            ("{% for a in b recursive %}{% endfor %}", "recursive"),
            ("{{ f(*a) }}", "*arguments"), ("{{ 'a' % 1 }}", "%"), ("{{ {1: 2} }}", "int"),
            ("{% set a %}{% generation %}{% endgeneration %}{% endset %}", "generation"),
        ]
    )
    func refusesByName(template: String, word: String) throws {
        guard case .failure(let error) = outcome(template) else {
            Issue.record("\(template) was rendered")
            return
        }
        #expect(error.code == .unsupported)
        #expect(error.message.contains(word))
    }

    @Test func namesTheLine() throws {
        guard case .failure(let error) = outcome("a\n{% if true %}\n{{ b.c }}\n{% endif %}") else {
            Issue.record("rendered")
            return
        }
        #expect(error.description == "line 3: b is undefined, and its c is asked for")
        guard case .failure(let syntax) = outcome("a\n\n{{ 1 + }}") else {
            Issue.record("rendered")
            return
        }
        #expect(syntax.description == "line 3: unexpected the tag's end")
    }

    @Test(
        "A template that would never end, or fill the memory, is stopped",
        arguments: [
            "{% for a in range(1000000) %}{% for b in range(1000000) %}{% endfor %}{% endfor %}",
            "{{ range(10 ** 12) }}", "{{ 'a' * 10 ** 12 }}", "{{ [1] * 10 ** 12 }}",
            "{{ 9 ** 99 }}",
            "{% set ns = namespace(t='aaaaaaaa') %}{% for i in range(60) %}{% set ns.t = ns.t ~ ns.t %}{% endfor %}",
            "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
            "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
            "{% set ns = namespace(l=[1]) %}{% for i in range(60) %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}",
            "{% set ns = namespace() %}{% set ns.n = ns %}{{ ns }}",
            "{% set ns = namespace() %}{% set ns.n = [ns] %}{{ ns == ns }}",
            "{% set t = 'a' * 10 ** 6 %}{% for i in range(100) %}{% set u = t | replace('', t) %}{% endfor %}",
            "{% set t = 'a,' * 10 ** 7 %}{{ t.split(',') | length }}",
            "{{ ('a' * 2 * 10 ** 6) | list | length }}",
            "{{ ['a', 'a'] | join('b' * 64 * 10 ** 6) | length }}",
            "{{ [1] | tojson(indent=100000) }}",
            "{{ 'a' | indent(100000, true) }}",
        ]
    )
    func stops(template: String) {
        #expect(code(template) == .limit)
    }

    @Test(
        "A template that nests without end is refused on reading",
        arguments: ["(", "[", "-", "not ", "{'a': ", "a.b", "1 + ", "1 if 1 else ", "a or "]
    )
    func refusesDepth(piece: String) {
        let text = String(repeating: piece, count: 100_000)
        #expect([.limit, .syntax].contains(code("{{ \(text) }}")))
        #expect([.limit, .syntax].contains(code("{% if \(text) %}{% endif %}")))
    }

    @Test func refusesNestedTags() {
        let open = String(repeating: "{% if true %}", count: 10_000)
        #expect(code(open + String(repeating: "{% endif %}", count: 10_000)) == .limit)
        #expect(code(String(repeating: "{% for a in b %}", count: 10_000)) == .limit)
    }

    @Test func refusesLongTexts() {
        #expect(code(String(repeating: "a", count: Template.byteLimit + 1)) == .limit)
    }

    @Test func hostLendsFunctions() throws {
        let values: [String: TemplateValue] = [
            "twice": .function(
                TemplateFunction("twice") { arguments throws(TemplateError) in
                    .list(arguments.positional + arguments.positional)
                }
            )
        ]
        #expect(try outcome("{{ twice(1, 'a') }}", values).get() == "[1, 'a', 1, 'a']")
    }
}
