internal import JobSpecs
internal import Testing

@Suite struct CanonicalJSONTests {
    // RFC 8785, appendix B and section 3.2.2.3, and boundaries of ECMAScript's notation.
    @Test(arguments: [
        ("0", "0"), ("-0", "0"), ("1.0", "1"), ("1e2", "100"),
        ("333333333.33333329", "333333333.3333333"),
        ("1E30", "1e+30"), ("4.50", "4.5"), ("2e-3", "0.002"),
        ("0.000000000000000000000000001", "1e-27"),
        ("1e-6", "0.000001"), ("1e-7", "1e-7"), ("1.5e-7", "1.5e-7"),
        ("123456789012345680000", "123456789012345680000"),
        ("1e21", "1e+21"), ("999999999999999900000", "999999999999999900000"), ("5e-324", "5e-324"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("-9007199254740992", "-9007199254740992"),
        ("295147905179352830000", "295147905179352830000"),
        ("9.999999999999997e22", "9.999999999999997e+22"),
        ("1e-5", "0.00001"), ("0.95", "0.95"), ("-1", "-1"),
        ("1424953923781206.2", "1424953923781206.2"),
    ])
    func writesNumbersAsECMAScriptDoes(source: String, expected: String) throws {
        #expect(try JSONParser.parse(Array(source.utf8)).value.canonicalText == expected)
    }

    @Test func sortsKeysByUTF16CodeUnits() throws {
        // RFC 8785, section 3.2.3.
        let source = """
            {"\\u20ac": "Euro Sign", "\\r": "Carriage Return", "\\ufb33": "Hebrew Letter Dalet With Dagesh",
             "1": "One", "\\ud83d\\ude00": "Emoji: Grinning Face", "\\u0080": "Control",
             "\\u00f6": "Latin Small Letter O With Diaeresis"}
            """
        let text = try JSONParser.parse(Array(source.utf8)).value.canonicalText
        let order = ["Carriage Return", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"]
        let places = order.map { word in text.firstRange(of: word)?.lowerBound }
        #expect(places.allSatisfy { $0 != nil })
        #expect(places.compactMap(\.self) == places.compactMap(\.self).sorted())
    }

    @Test func escapesAsLittleAsPossible() throws {
        let source = #"{"a": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/\b\f\t"}"#
        let text = try JSONParser.parse(Array(source.utf8)).value.canonicalText
        #expect(text == #"{"a":"€$\u000f\nA'B\"\\\\\"/\b\f\t"}"#)
    }

    @Test func writesLiteralsAndNestingWithoutSpace() throws {
        let source = #" { "b" : [ true , false , null , { } , [ ] ] , "a" : 1 } "#
        let text = try JSONParser.parse(Array(source.utf8)).value.canonicalText
        #expect(text == #"{"a":1,"b":[true,false,null,{},[]]}"#)
    }

    @Test(arguments: [
        (#"{"a":1,"a":2}"#, "$.a: duplicate key (line 1)"),
        (#"{"a":1,"\u0061":2}"#, "$.a: duplicate key (line 1)"),
        ("{\n\"a\": 01}", "$.a: 01 is not a JSON number (line 2)"),
        ("[1.]", "$[0]: 1. is not a JSON number (line 1)"),
        ("[-]", "$[0]: - is not a JSON number (line 1)"),
        ("[1e999]", "$[0]: 1e999 is too large for a number (line 1)"),
        (
            "[1,]",
            "$[1]: expected a value, found ']'; leave out the comma before it (line 1)"
        ),
        (
            "{'a':1}",
            "$: expected a key in quotes, found '''; write \" around strings (line 1)"
        ),
        ("{\"a\" 1}", "$.a: expected ':' after the key, found '1' (line 1)"),
        ("[1 2]", "$[0]: expected ',' or ']', found '2' (line 1)"),
        ("tru", "$: expected true, found 't' (line 1)"),
        ("NaN", "$: expected a value, found 'N'; JSON has no NaN; write a number (line 1)"),
        ("", "$: expected a value, found the end of the file (line 1)"),
        ("{} x", "$: expected the end of the file, found 'x' (line 1)"),
        (#"["\ud800"]"#, "$[0]: a string holds half a surrogate pair (line 1)"),
        (#"["\ud800\u0041"]"#, "$[0]: a string holds half a surrogate pair (line 1)"),
        (#"["\udc00"]"#, "$[0]: a string holds half a surrogate pair (line 1)"),
        (#"["\x"]"#, "$[0]: a string holds an unknown escape (line 1)"),
        (#"["\u12"]"#, "$[0]: \\u takes four hexadecimal digits (line 1)"),
        ("[\"a\nb\"]", "$[0]: a string holds an unescaped control character (line 1)"),
        ("[\"a", "$[0]: a string is not closed (line 1)"),
        ("\u{FEFF}{}", "$: the file starts with a byte order mark; save it without"),
    ])
    func refusesWhatIsNotStrictJSON(source: String, expected: String) {
        let error = #expect(throws: JobSpecError.self) { try JSONParser.parse(Array(source.utf8)) }
        #expect(error?.description == expected)
        #expect(error?.code == .invalidJSON)
    }

    @Test func refusesInvalidUTF8() {
        let error = #expect(throws: JobSpecError.self) { try JSONParser.parse([0x22, 0xFF, 0x22]) }
        #expect(error?.description == "$: the file is not UTF-8 text")
    }

    @Test func boundsSizeAndDepth() throws {
        let deep = { (count: Int) -> [UInt8] in
            Array(repeating: UInt8(ascii: "["), count: count)
                + Array(repeating: UInt8(ascii: "]"), count: count)
        }
        _ = try JSONParser.parse(deep(JSONParser.maximumDepth + 1))
        #expect(throws: JobSpecError.self) {
            try JSONParser.parse(deep(JSONParser.maximumDepth + 2))
        }
        let spaces = [UInt8](repeating: 0x20, count: JSONParser.maximumByteCount - 1)
        _ = try JSONParser.parse(spaces + [UInt8(ascii: "1")])
        #expect(throws: JobSpecError.self) { try JSONParser.parse(spaces + Array("12".utf8)) }
    }
}
