internal import Foundation
internal import Jinja
internal import OrderedCollections
internal import Testing

/// Templates and what Jinja made of them; see `Fixtures/make_template_fixtures.py`.
struct TemplateFixture: Decodable {
    struct Case: Decodable {
        let name: String
        let template: String
        let values: String
        let text: String?
        let generated: [[Int]]?
        let error: String?
        let message: String?
    }

    let values: [String: FixtureValue]
    let cases: [Case]

    static func read() throws -> TemplateFixture {
        let file = try #require(
            Bundle.module.url(
                forResource: "templates",
                withExtension: "json",
                subdirectory: "Fixtures"
            )
        )
        return try JSONDecoder().decode(TemplateFixture.self, from: Data(contentsOf: file))
    }

    /// The values of a case, by name.
    func values(of found: Case) throws -> [String: TemplateValue] {
        guard case .object(let members) = try #require(values[found.values]).value else {
            return [:]
        }
        return Dictionary(uniqueKeysWithValues: members.map { ($0.key, $0.value) })
    }
}

/// A value; objects are `{"pairs": [[key, value], …]}`, which keeps their order.
struct FixtureValue: Decodable {
    let value: TemplateValue

    private struct Pairs: Decodable {
        let pairs: [[FixtureValue]]
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            value = .none
        } else if let flag = try? container.decode(Bool.self) {
            value = .flag(flag)
        } else if let number = try? container.decode(Int.self) {
            value = .integer(number)
        } else if let number = try? container.decode(Double.self) {
            value = .real(number)
        } else if let text = try? container.decode(String.self) {
            value = .text(text)
        } else if let items = try? container.decode([FixtureValue].self) {
            value = .list(items.map(\.value))
        } else {
            var members: OrderedDictionary<String, TemplateValue> = [:]
            for pair in try container.decode(Pairs.self).pairs {
                if case .text(let key) = pair[0].value { members[key] = pair[1].value }
            }
            value = .object(members)
        }
    }
}
