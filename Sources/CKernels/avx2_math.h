// Vector exponential and horizontal sums for the AVX2 kernels; not part of the public interface.
#pragma once
#include <immintrin.h>

#define QAT_AVX2 __attribute__((target("avx2,fma")))

// exp(x) to about 1 ulp for -87.3 <= x <= 88; below, 0; above, as at 88. Range reduction by
// powers of two and the polynomial of Cephes' expf (Moshier, netlib.org/cephes).
QAT_AVX2 static inline __m256 qat_exp_avx2(__m256 x) {
    const __m256 lowest = _mm256_set1_ps(-87.3f);
    __m256 kept = _mm256_cmp_ps(x, lowest, _CMP_GE_OQ);
    x = _mm256_min_ps(_mm256_max_ps(x, lowest), _mm256_set1_ps(88.0f));
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504088896341f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
    __m256i exponent = _mm256_slli_epi32(
        _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_and_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(exponent)), kept);
}

// log(x) to about 1 ulp for normal x > 0; for others, no number that means anything. Cephes' logf.
QAT_AVX2 static inline __m256 qat_log_avx2(__m256 x) {
    const __m256 one = _mm256_set1_ps(1.0f), half = _mm256_set1_ps(0.5f);
    __m256i bits = _mm256_castps_si256(x);
    __m256 n = _mm256_cvtepi32_ps(
        _mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(126)));
    // The mantissa in 0.5 ..< 1, then in 0.707 ..< 1.414, less 1.
    __m256 r = _mm256_castsi256_ps(_mm256_or_si256(
        _mm256_and_si256(bits, _mm256_set1_epi32(0x007fffff)), _mm256_castps_si256(half)));
    __m256 low = _mm256_cmp_ps(r, _mm256_set1_ps(0.707106781186547524f), _CMP_LT_OQ);
    n = _mm256_sub_ps(n, _mm256_and_ps(low, one));
    r = _mm256_sub_ps(_mm256_add_ps(r, _mm256_and_ps(low, r)), one);
    __m256 p = _mm256_set1_ps(7.0376836292e-2f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(-1.1514610310e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.1676998740e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(-1.2420140846e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.4249322787e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(-1.6668057665e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(2.0000714765e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(-2.4999993993e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(3.3333331174e-1f));
    __m256 square = _mm256_mul_ps(r, r);
    p = _mm256_mul_ps(_mm256_mul_ps(p, r), square);
    p = _mm256_fmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), p);
    p = _mm256_fnmadd_ps(half, square, p);
    return _mm256_fmadd_ps(n, _mm256_set1_ps(0.693359375f), _mm256_add_ps(r, p));
}

QAT_AVX2 static inline double qat_sum_pd(__m256d v) {
    __m128d s = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
    return _mm_cvtsd_f64(_mm_add_sd(s, _mm_unpackhi_pd(s, s)));
}

// Adds the eight floats of v to two vectors of doubles.
#define QAT_ADD_AS_DOUBLE(low, high, v)                                       \
    do {                                                                      \
        low = _mm256_add_pd(low, _mm256_cvtps_pd(_mm256_castps256_ps128(v))); \
        high = _mm256_add_pd(high, _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1))); \
    } while (0)

QAT_AVX2 static inline float qat_max_ps(__m256 v) {
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
}
