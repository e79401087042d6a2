internal import Testing
@testable internal import qat_client

/// Widths are those of wcwidth 0.7.0 (PyPI).
@Suite struct DisplayWidthTests {
    @Test(arguments: [
        ("abc", 3), ("模型", 4), ("모델", 4), ("ｱ", 1), ("Ａ", 2), ("é", 1), ("e\u{301}", 1), ("👍", 2),
        ("👨\u{200D}👩\u{200D}👧", 2), ("\u{2764}\u{FE0F}", 2), ("\u{2764}", 1), ("…", 1), ("–", 1),
        ("█", 1),
        ("が", 2), ("か\u{3099}", 2), ("\u{1112}\u{1161}\u{11AB}", 2), ("ไทย", 3), ("नमस्ते", 4),
        ("⚡", 2),
        ("①", 1), ("☃", 1), ("", 0),
    ])
    func countsColumnsAsTerminalsDo(text: String, expected: Int) {
        #expect(DisplayWidth.columns(text) == expected)
    }

    @Test func cutsBetweenCharacters() {
        #expect(DisplayWidth.cut("abcdef", to: 6) == "abcdef")
        #expect(DisplayWidth.cut("abcdef", to: 5) == "abcd…")
        // Three wide characters are six columns; in five there is room for two of them and the mark.
        #expect(DisplayWidth.cut("模型名", to: 5) == "模型…")
        #expect(DisplayWidth.cut("模型名", to: 4) == "模…")
        #expect(DisplayWidth.cut("模型名", to: 1) == "…")
        #expect(DisplayWidth.cut("模型名", to: 0) == "")
    }

    @Test func fillsToColumns() {
        #expect(DisplayWidth.padded("模", to: 4) == "模  ")
        #expect(DisplayWidth.padded("1.5", to: 5, atStart: true) == "  1.5")
    }

    @Test func whatTerminalsObeyIsWrittenOut() {
        #expect(DisplayWidth.printable("a\u{1B}[2Jb\n") == "a\\u{1b}[2Jb\\u{a}")
        #expect(DisplayWidth.printable("\u{9B}31m\u{202E}x") == "\\u{9b}31m\\u{202e}x")
        #expect(DisplayWidth.printable("模型 👨\u{200D}👩 é") == "模型 👨\u{200D}👩 é")
    }
}

@Suite struct TextTableTests {
    private func table() -> TextTable {
        var table = TextTable(columns: [
            .init(heading: "ID"), .init(heading: "NAME", least: 6, dropOrder: 2),
            .init(heading: "LOSS", isNumber: true, dropOrder: 1),
        ])
        table.append(["a1", "模型名", "12.5"])
        table.append(["b2", "a rather long name", "2.5"])
        return table
    }

    @Test func alignsByColumnsOfTheTerminal() {
        #expect(
            table().rendered() == """
                ID  NAME                LOSS
                a1  模型名              12.5
                b2  a rather long name   2.5
                """
        )
    }

    @Test func cutsCellsBeforeItLeavesColumnsOut() {
        #expect(
            table().rendered(within: 20) == """
                ID  NAME        LOSS
                a1  模型名      12.5
                b2  a rather …   2.5
                """
        )
        #expect(
            table().rendered(within: 12) == """
                ID  NAME
                a1  模型名
                b2  a rathe…
                """
        )
        #expect(table().rendered(within: 5) == "ID\na1\nb2")
    }

    @Test func whereRoomIsShortEmptyColumnsGoFirst() {
        var table = TextTable(columns: [
            .init(heading: "ID"), .init(heading: "LOSS", dropOrder: 1),
            .init(heading: "NOTE", least: 4, dropOrder: 2),
        ])
        table.append(["a1", "12.5", ""])
        table.append(["b2", "2.5", "-"])
        #expect(table.rendered(within: 14) == "ID  LOSS  NOTE\na1  12.5\nb2  2.5   -")
        #expect(table.rendered(within: 12) == "ID  LOSS\na1  12.5\nb2  2.5")
    }

    @Test(arguments: 1...40)
    func neverIsWiderThanItsLimit(limit: Int) {
        for line in table().rendered(within: limit).split(separator: "\n") {
            #expect(DisplayWidth.columns(String(line)) <= limit)
        }
    }

    @Test func cellsAreOneLineEach() {
        var table = TextTable(["A"])
        table.append(["x\ny\u{1B}[0m"])
        #expect(table.rendered() == "A\nx\\u{a}y\\u{1b}[0m")
    }
}
