internal import Testing

@testable internal import Transformer

struct StudentTTests {
    /// Quantiles by mpmath 1.3.0 with 30 digits: where the regularized incomplete beta function
    /// I(n / (n + t^2); n / 2, 1 / 2) is 0.05.
    @Test(arguments: [
        (1, 12.706204736174705), (2, 4.3026527297494639), (3, 3.1824463052837096),
        (4, 2.7764451051977944), (5, 2.5705818356363155), (9, 2.2621571627982055),
        (16, 2.1199052992212547), (30, 2.0422724563012383), (99, 1.9842169515864175),
        (1_000, 1.9623390808264085), (100_000, 1.9599877075346096),
    ])
    func quantilesHaveTenDigits(degrees: Int, quantile: Double) {
        #expect(abs(StudentT.quantile975(degrees) / quantile - 1) < 1e-10)
    }
}
