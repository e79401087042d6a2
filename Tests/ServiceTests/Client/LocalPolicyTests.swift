internal import Foundation
internal import Testing

@testable internal import Gateway
@testable internal import qat_client

/// docs/OPERATIONS.md, Who may do what: whoever starts a suite of their own is its operator.
@Suite struct LocalPolicyTests {
    private let folder: TemporaryHome
    private let suite: LocalSuite

    init() throws {
        folder = try TemporaryHome()
        suite = LocalSuite(folder.home)
        try suite.layout.create()
    }

    private var path: String { folder.home.localPath + "/state/gateway/policy.json" }

    @Test func theUserOfALocalSuiteIsAnOperator() throws {
        try suite.writePolicy()
        let data = try Data(contentsOf: URL(filePath: path))
        let policy = try AccessPolicy(json: data)
        // All else is as it is built in.
        var expected = AccessPolicy()
        expected.operators = ["local"]
        #expect(policy == expected)
        // That is whom the profile's certificate names, and nobody else is one.
        try LocalCertificates(layout: suite.layout).issueAll()
        let user = try JobFilter.user(suite.layout.certificatePath("user"))
        #expect(policy.operators == [user])
        #expect(AccessPolicy().operators.isEmpty)
    }

    /// What an owner wrote stays, rules for nobody among it, and what cannot be read.
    @Test(arguments: ["{}", #"{"operators": ["olga"]}"#, "no JSON", ""])
    func aPolicyThatIsThereStays(text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path))
        try suite.writePolicy()
        #expect(try String(contentsOfFile: path, encoding: .utf8) == text)
    }
}
