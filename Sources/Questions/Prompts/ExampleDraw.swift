internal import ModelFiles

/// Which examples stand before each question where they are drawn.
enum ExampleDraw {
    /// For each question places among the examples, `count` at most.
    ///
    /// `spare`: Whether one more is drawn than is taken, so that one that is the question itself can be left
    /// out.
    ///
    /// - Throws: ``ModelFileError`` (`tooShort`) if there are too few.
    static func places(
        _ count: Int,
        spare: Bool,
        of examples: [Record],
        for questions: [Record]
    ) throws(ModelFileError) -> [[Int]] {
        let drawn = spare ? count + 1 : count
        try require(drawn, of: examples.count, spare ? ", of which one may be left out" : "")
        var random = PythonRandom(seed: PythonRandom.exampleSeed)
        return questions.map { question in
            let places = random.sample(drawn, of: examples.count)
            return Array(places.filter { examples[$0] != question }.prefix(count))
        }
    }

    /// Checks that there are examples enough.
    static func require(
        _ wanted: Int,
        of count: Int,
        _ clause: String
    ) throws(ModelFileError) {
        guard count < wanted else { return }
        throw ModelFileError(.tooShort, "\(count) examples\(clause), and few_shot needs \(wanted)")
    }
}
