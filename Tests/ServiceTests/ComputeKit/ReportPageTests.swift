@testable internal import ComputeKit
internal import Foundation
internal import Testing

#if canImport(FoundationXML)
    internal import FoundationXML
#endif

@Suite struct ReportPageTests {
    private static let hostile = "a<script>alert(\"x\")</script>&amp;'\u{0}\u{1B}\u{202E}\u{FFFF}"

    @Test(arguments: [0, 1, 2, 210, 2000])
    func isWellFormedForAnyNumberOfLayers(count: Int) throws {
        let html = ReportPage(title: "t", layers: Fixture.decoder(count)).html()
        let page = try PageReader.read(html)
        let rows = page.elements.count { $0.name == "th" && $0.attributes["scope"] == "row" }
        #expect(rows == count)
        #expect(page.elements.contains { $0.name == "svg" } == (count > 0))
        // Some 1.5 kB per layer, as promised, beside the style and the axes.
        #expect(html.utf8.count < 70_000 + 2_500 * count)
    }

    @Test func writesEveryTextOfTheJob() throws {
        var layers = Fixture.decoder(14)
        layers[3].warnings = ["3.1% saturate", "outliers"]
        let page = ReportPage(
            title: "my job",
            facts: [("Method", "GPTQ"), ("Perplexity", "19.8 → 21.4")],
            warnings: ["export gguf was left out"],
            layers: layers,
            sensitivities: Fixture.sensitivities(3)
        )
        let text = try PageReader.read(page.html()).text
        for layer in layers {
            #expect(text.contains(layer.module))
        }
        for expected in [
            "my job", "Method", "GPTQ", "Perplexity", "19.8 → 21.4",
            "Warning: export gguf was left out", "1 layer has warnings",
            "Warning: 3.1% saturate", "Warning: outliers", "group 2", "nvfp4, 4.50 bits",
            "at 4.50 bits, chosen",
        ] {
            #expect(text.contains(expected), "\(expected)")
        }
    }

    @Test func escapesTextsFromFiles() throws {
        var layers = Fixture.decoder(8)
        layers[0].module = Self.hostile
        layers[1].format = Self.hostile
        layers[2].warnings = [Self.hostile]
        layers[3].module = "model.layers.1.\(Self.hostile)"
        let page = ReportPage(
            title: Self.hostile,
            facts: [(Self.hostile, Self.hostile)],
            warnings: [Self.hostile],
            layers: layers,
            sensitivities: [
                .init(
                    group: Self.hostile,
                    candidates: [
                        .init(format: Self.hostile, bitsPerWeight: 4, error: 1, isChosen: true)
                    ]
                )
            ]
        )
        let read = try PageReader.read(page.html())
        #expect(read.elements.count { $0.name == "script" } == 1)
        #expect(read.text.contains("a<script>alert(\"x\")</script>&amp;'\u{FFFD}\u{FFFD}"))
        #expect(!read.text.contains("\u{202E}"))
    }

    @Test func refersToNothingOutside() throws {
        let page = ReportPage(
            title: "t",
            layers: Fixture.decoder(210),
            sensitivities: Fixture.sensitivities(9)
        )
        let html = page.html()
        for forbidden in ["http:", "https:", "url(", "@import", "src="] {
            #expect(!html.contains(forbidden), "\(forbidden)")
        }
        for element in try PageReader.read(html).elements {
            #expect(!["link", "img", "iframe", "object", "image", "use"].contains(element.name))
            #expect(element.attributes["href"]?.hasPrefix("#") != false)
        }
    }

    @Test func keepsCoordinatesFiniteForExtremeValues() throws {
        let extremes: [Double] = [
            .nan, .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude, 1e-300, -1e308, 1e308, 1,
            -1,
        ]
        // Every extreme by itself, where a scale has one value, and all of them together.
        for values in extremes.map({ [$0] }) + [extremes] {
            let layers = values.enumerated().map { place, value in
                Fixture.layer("model.layers.\(place).mlp.up_proj", all: value)
            }
            let candidates = values.map {
                ReportPage.Sensitivity.Candidate(format: "f\($0)", bitsPerWeight: $0, error: $0)
            }
            let page = ReportPage(
                title: "t",
                layers: layers,
                sensitivities: [.init(group: "g", candidates: candidates)]
            )
            for number in try PageReader.read(page.html()).coordinates {
                #expect(Double(number)?.isFinite == true, "\(number) for \(values)")
            }
        }
    }

    @Test(arguments: [
        "lm_head", "model.layers.99999999999999999999.mlp.up_proj", "", "...", "layers.7",
        "model.layers.9223372036854775807.mlp.up_proj", "h.é.٣.q_proj",
    ])
    func takesAnyName(module: String) throws {
        for count in [1, 7, 200] {
            let layers = Array(repeating: Fixture.layer(module, all: 20), count: count)
            let read = try PageReader.read(ReportPage(title: "", layers: layers).html())
            #expect(read.coordinates.allSatisfy { Double($0)?.isFinite == true })
            #expect(module.isEmpty || read.text.contains(module))
        }
    }

    @Test func callsAnInfiniteRatioExact() throws {
        var layers = Fixture.decoder(7)
        layers[0].sqnrDecibels = .infinity
        let one = try PageReader.read(ReportPage(title: "t", layers: layers).html())
        #expect(one.elements.contains { $0.attributes["data-value"] == "Infinity" })
        #expect(one.text.contains("model.layers.0.self_attn.q_proj: exact"))
        #expect(one.text.contains("1 exact ones are not shown") == false)
        #expect(one.text.contains("1 exact one is not shown"))
        for place in layers.indices {
            layers[place].sqnrDecibels = .infinity
        }
        let all = try PageReader.read(ReportPage(title: "t", layers: layers).html())
        #expect(all.text.contains("No layer has a finite SQNR"))
    }

    @Test func leavesOutWhatHasNothingToShow() throws {
        var layers = Fixture.decoder(7)
        for place in layers.indices {
            layers[place].saturatedShare = 0
        }
        let plain = try PageReader.read(ReportPage(title: "t", layers: layers).html()).text
        #expect(!plain.contains("Saturated share by layer"))
        #expect(!plain.contains("Sensitivity"))
        #expect(!plain.contains("Warning"))
        // So small a share is written with a less-than sign, in the table, a note and a tooltip.
        layers[2].saturatedShare = 0.000_01
        let saturated = try PageReader.read(ReportPage(title: "t", layers: layers).html()).text
        #expect(saturated.contains("Saturated share by layer"))
    }

    @Test func namesPicturesAndHeadsTables() throws {
        let page = ReportPage(
            title: "t",
            layers: Fixture.decoder(210),
            sensitivities: Fixture.sensitivities(100)
        )
        let read = try PageReader.read(page.html())
        for element in read.elements where element.name == "svg" {
            let isNamed =
                element.attributes["role"] == "img"
                && element.attributes["aria-label"]?.isEmpty == false
            #expect(isNamed || element.attributes["aria-hidden"] == "true")
        }
        #expect(read.elements.allSatisfy { $0.name != "th" || $0.attributes["scope"] != nil })
        #expect(read.text.contains("the 60 of 100 groups"))
        #expect(read.text.contains("group 99"))
    }

    @Test func weighsBitsBySize() throws {
        var layers = [Fixture.layer("a", all: 4), Fixture.layer("b", all: 8)]
        layers[0].shape = [30, 10]
        layers[1].shape = [10, 10]
        // 300 weights of 4 bits and 100 of 8: 2000 bits of 400.
        layers[0].byteCount = 150
        layers[1].byteCount = 100
        let text = try PageReader.read(ReportPage(title: "t", layers: layers).html()).text
        #expect(text.contains("Mean bits per weight5.00"))
    }
}

/// The section about how a training went.
@Suite struct CoursePlotTests {
    private static func page(_ course: ReportPage.Course) -> ReportPage {
        ReportPage(subject: .training, title: "t", layers: Fixture.decoder(7), course: course)
    }

    @Test func showsCurvesLevelsAndTheWorstModuleOfEachLayer() throws {
        let course = ReportPage.Course(
            curves: [
                .init(
                    title: "Loss",
                    note: "note <1>",
                    lines: [
                        .init(name: "loss", points: [(1, 4), (2, 3), (9, .nan)]),
                        .init(name: "divergence", points: [(1, 1)]),
                    ],
                    levels: [("PTQ", 72.75), ("none", .nan)]
                ),
                .init(title: "Empty", note: "", lines: [.init(name: "x", points: [])]),
            ],
            samples: [
                .init(
                    step: 1,
                    sqnrDecibels: [
                        "model.layers.0.a": 10, "model.layers.0.b": 9, "lm_head": .infinity,
                    ]
                ),
                .init(
                    step: 2,
                    sqnrDecibels: [
                        "model.layers.0.a": 12, "model.layers.0.b": 13, "model.layers.1.a": .nan,
                    ]
                ),
            ]
        )
        let read = try PageReader.read(Self.page(course).html())
        for expected in [
            "Training report", "Loss", "note <1>", "step 2: loss 3.00", "PTQ 72.8", "divergence",
            "step 1: model.layers.0.b 9.0 dB", "step 2: model.layers.0.a 12.0 dB",
            "step 1: lm_head exact",
            "layer 0", "others",
        ] {
            #expect(read.text.contains(expected), "\(expected)")
        }
        #expect(!read.text.contains("Empty") && !read.text.contains("layer 1"))
        #expect(read.coordinates.allSatisfy { Double($0)?.isFinite == true })
    }

    /// Seen: one map of a training for two formats was striped; each has its own, with its own scale.
    @Test func eachFormatHasAMap() throws {
        let samples = [(9, "mxfp8", 30.0), (10, "mxfp4", 17), (19, "mxfp8", 31), (20, "mxfp4", 18)]
            .map { step, format, decibels in
                ReportPage.Course.Sample(
                    step: step,
                    format: format,
                    sqnrDecibels: ["model.layers.0.a": decibels]
                )
            }
        let html = Self.page(.init(curves: [], samples: samples)).html()
        let text = try PageReader.read(html).text
        let title = "Signal to quantization noise over time"
        let parts = text.components(separatedBy: title + " in ")
        #expect(parts.count == 3 && !parts[0].contains(title))
        for (part, format, own, other) in [
            (parts[1], "mxfp8", "30.0", "17.0"), (parts[2], "mxfp4", "17.0", "30.0"),
        ] {
            #expect(part.hasPrefix(format))
            #expect(part.contains("model.layers.0.a \(own) dB"))
            #expect(!part.contains("model.layers.0.a \(other) dB"))
        }
        let one = samples.map {
            ReportPage.Course.Sample(step: $0.step, sqnrDecibels: $0.sqnrDecibels)
        }
        let plain = try PageReader.read(Self.page(.init(curves: [], samples: one)).html()).text
        #expect(plain.components(separatedBy: title).count == 2 && !plain.contains(title + " in"))
    }

    /// A long run of a deep model stays a page that a browser opens at once.
    @Test func staysSmall() throws {
        let points = (1...20_000).map { (step: $0, value: 1 / Double($0)) }
        let modules = (0..<126).flatMap { layer in (0..<7).map { "model.layers.\(layer).m\($0)" } }
        let samples = (1...100).map { step in
            ReportPage.Course.Sample(
                step: step,
                sqnrDecibels: Dictionary(uniqueKeysWithValues: modules.map { ($0, Double(step)) })
            )
        }
        let course = ReportPage.Course(
            curves: [.init(title: "Loss", note: "", lines: [.init(name: "loss", points: points)])],
            samples: samples
        )
        let html = Self.page(course).html()
        #expect(html.utf8.count < 2_000_000)
        #expect(try PageReader.read(html).text.contains("step 100: model.layers.125.m0 100.0 dB"))
    }

    @Test func showsNothingOfARunWithoutSteps() throws {
        let html = Self.page(.init(curves: [], samples: [])).html()
        #expect(try !PageReader.read(html).text.contains("Training</h2>"))
    }
}

@Suite struct NumberTextTests {
    @Test(
        arguments: [
            (0, "0"), (1, "1.00"), (-0.0123, "−0.0123"), (0.00123, "0.00123"),
            (1.234e-7, "1.23e−7"),
            (9.999e-8, "1.00e−7"), (0.0009996, "0.00100"), (99.96, "100"),
            (123_456, "123456"),
            (1e6, "1.00e6"), (.leastNonzeroMagnitude, "4.94e−324"),
            (1.7976931348623157e308, "1.80e308"),
            (.infinity, "∞"), (-.infinity, "−∞"), (.nan, "n/a"),
        ] as [(Double, String)]
    )
    func writesThreeDigits(value: Double, expected: String) {
        #expect(NumberText.significant(value) == expected)
    }

    @Test func writesUnits() {
        #expect(NumberText.fixed(-0.001, 2) == "0.00")
        #expect(NumberText.fixed(2.005, 1) == "2.0")
        #expect(NumberText.grouped(-1_234_567) == "−1,234,567")
        #expect(NumberText.grouped(999) == "999")
        #expect(NumberText.bytes(999) == "999 B")
        #expect(NumberText.bytes(70_300_000) == "70.3 MB")
        #expect(NumberText.percent(0.00001) == "<0.01%")
        #expect(NumberText.percent(0.0042) == "0.42%")
        #expect(NumberText.powerOfTen(-12) == "10⁻¹²")
    }
}

/// Layers and groups with values that depend on their place only.
private enum Fixture {
    private static let modules = [
        "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj",
        "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj",
    ]

    static func decoder(_ count: Int) -> [ReportPage.Layer] {
        (0..<count).map { place in
            let name = "model.layers.\(place / 7).\(modules[place % 7])"
            var layer = layer(name, all: 0.001 * Double(1 + place % 5))
            layer.sqnrDecibels = 18 + Double(place % 11) / 3
            layer.bitsPerWeight = place % 7 == 6 ? 8.25 : 4.25
            return layer
        }
    }

    static func layer(_ module: String, all value: Double) -> ReportPage.Layer {
        .init(
            module: module,
            shape: [576, 576],
            format: "mxfp4",
            blockSize: 32,
            bitsPerWeight: value,
            byteCount: 176_256,
            mean: value,
            standardDeviation: value,
            minimum: value,
            maximum: value,
            amax: value,
            meanAbsoluteError: value,
            meanSquaredError: value,
            sqnrDecibels: value,
            saturatedShare: value
        )
    }

    static func sensitivities(_ count: Int) -> [ReportPage.Sensitivity] {
        (0..<count).map { place in
            .init(
                group: "group \(place)",
                candidates: [
                    .init(format: "mxfp4", bitsPerWeight: 4.25, error: 0.01 * Double(place)),
                    .init(format: "nvfp4", bitsPerWeight: 4.5, error: 0.006, isChosen: true),
                ]
            )
        }
    }
}

/// What a strict XML parser finds on a page; its text is without style and script.
private final class PageReader: NSObject, XMLParserDelegate {
    private(set) var elements: [(name: String, attributes: [String: String])] = []
    private(set) var text = ""

    /// Reads a page.
    ///
    /// - Throws: The parser's error, with its line, if the page is not well-formed.
    static func read(_ html: String) throws -> PageReader {
        let reader = PageReader()
        let parser = XMLParser(data: Data(html.utf8))
        parser.delegate = reader
        guard parser.parse() else {
            let line = html.split(separator: "\n", omittingEmptySubsequences: false)
                .dropFirst(max(0, parser.lineNumber - 1)).first
            Issue.record("line \(parser.lineNumber): \(line ?? "")")
            throw parser.parserError ?? CocoaError(.fileReadCorruptFile)
        }
        return reader
    }

    /// Every number that places something in a picture.
    var coordinates: [String] {
        let names = [
            "x", "y", "x1", "y1", "x2", "y2", "cx", "cy", "r", "width", "height", "points",
            "viewBox",
        ]
        return elements.flatMap { element in
            names.compactMap { element.attributes[$0] }
                .flatMap { $0.split { $0 == " " || $0 == "," }.map(String.init) }
        }
    }

    func parser(
        _ parser: XMLParser,
        didStartElement elementName: String,
        namespaceURI: String?,
        qualifiedName: String?,
        attributes: [String: String]
    ) {
        elements.append((elementName, attributes))
    }

    func parser(_ parser: XMLParser, foundCharacters string: String) {
        if elements.last?.name != "style", elements.last?.name != "script" {
            text += string
        }
    }
}
