internal import Testing
@testable internal import qat_client

/// docs/CLIENT.md: of several, those that wait for others are cancelled first.
struct CancellationOrderTests {
    private static func node(
        _ id: String,
        needs needed: Set<String> = [],
        at created: Int64 = 0
    ) -> CancellationOrder.Node {
        .init(target: .job(id), jobs: [id], needed: needed, created: created)
    }

    private static func order(_ nodes: [CancellationOrder.Node]) -> [String] {
        CancellationOrder.dependentsFirst(nodes).map {
            switch $0 {
            case .job(let id), .pipeline(let id): id
            }
        }
    }

    @Test func theNewestIsFirst() {
        let nodes = [Self.node("a", at: 1), Self.node("c", at: 3), Self.node("b", at: 2)]
        #expect(Self.order(nodes) == ["c", "b", "a"])
    }

    /// Submitted within one millisecond, or while a clock was set back.
    @Test(arguments: [0, 1, 2])
    func whatNamesAnotherGoesBeforeIt(turn: Int) {
        let nodes = [
            Self.node("a", at: 9), Self.node("b", needs: ["a"]), Self.node("c", needs: ["b"]),
        ]
        #expect(Self.order(Array(nodes[turn...] + nodes[..<turn])) == ["c", "b", "a"])
    }

    @Test func manyOfOneGoBeforeIt() {
        let nodes = [
            Self.node("a"), Self.node("b", needs: ["a"]), Self.node("c", needs: ["a", "b"]),
            Self.node("d", needs: ["a"]),
        ]
        let order = Self.order(nodes)
        #expect(order.last == "a" && order.count == 4)
        #expect(order.firstIndex(of: "c") ?? 9 < order.firstIndex(of: "b") ?? 0, "\(order)")
    }

    @Test func aRingEnds() {
        let nodes = [Self.node("a", needs: ["b"]), Self.node("b", needs: ["a"])]
        #expect(Set(Self.order(nodes)) == ["a", "b"])
    }
}
