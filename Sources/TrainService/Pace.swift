/// The recent speed of steps: a moving average that forgets the first, slow ones.
struct Pace {
    let tokensPerStep: Int
    private var last = ContinuousClock.now
    private(set) var secondsPerStep = 0.0

    init(tokensPerStep: Int) {
        self.tokensPerStep = tokensPerStep
    }

    var tokensPerSecond: Double { Double(tokensPerStep) / max(secondsPerStep, 1e-9) }

    mutating func finishStep() {
        let now = ContinuousClock.now
        let seconds = (now - last) / .seconds(1)
        last = now
        secondsPerStep = secondsPerStep == 0 ? seconds : 0.8 * secondsPerStep + 0.2 * seconds
    }
}
