// AVX2 twin of what adds low-rank adapters to weights.
#if defined(__x86_64__)
#include <immintrin.h>
#include "transformer_avx2.h"

// Products and sums are rounded one by one, as the reference's are: both give the same bits.
#define QAT_AVX2_UNFUSED __attribute__((target("avx2")))

QAT_AVX2_UNFUSED static inline void store(float *out, const float *base, __m256 sum,
                                          __m256 scale) {
    __m256 x = _mm256_loadu_ps(base);
    __m256 moved = _mm256_add_ps(x, _mm256_mul_ps(scale, sum));
    __m256 isZero = _mm256_cmp_ps(sum, _mm256_setzero_ps(), _CMP_EQ_OQ);
    _mm256_storeu_ps(out, _mm256_blendv_ps(moved, x, isZero));
}

// Two rows by 32 columns, whose sums stay in registers.
QAT_AVX2_UNFUSED static void add_tile(float *out, const float *base, const float *b,
                                      const float *a, size_t K, size_t C, __m256 scale) {
    __m256 sums[2][4];
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 4; j++) sums[i][j] = _mm256_setzero_ps();
    }
    for (size_t k = 0; k < K; k++) {
        __m256 first = _mm256_set1_ps(b[k]), second = _mm256_set1_ps(b[K + k]);
        for (int j = 0; j < 4; j++) {
            __m256 x = _mm256_loadu_ps(a + k * C + 8 * j);
            sums[0][j] = _mm256_add_ps(sums[0][j], _mm256_mul_ps(first, x));
            sums[1][j] = _mm256_add_ps(sums[1][j], _mm256_mul_ps(second, x));
        }
    }
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 4; j++) {
            size_t place = (size_t)i * C + 8 * (size_t)j;
            store(out + place, base + place, sums[i][j], scale);
        }
    }
}

// One row's columns from `c` on.
QAT_AVX2_UNFUSED static void add_rest(float *out, const float *base, const float *b,
                                      const float *a, size_t K, size_t C, size_t c, float scale) {
    for (; c + 8 <= C; c += 8) {
        __m256 sum = _mm256_setzero_ps();
        for (size_t k = 0; k < K; k++) {
            __m256 x = _mm256_loadu_ps(a + k * C + c);
            sum = _mm256_add_ps(sum, _mm256_mul_ps(_mm256_set1_ps(b[k]), x));
        }
        store(out + c, base + c, sum, _mm256_set1_ps(scale));
    }
    for (; c < C; c++) {
        float sum = 0;
        for (size_t k = 0; k < K; k++) sum += b[k] * a[k * C + c];
        out[c] = sum == 0 ? base[c] : base[c] + scale * sum;
    }
}

QAT_AVX2_UNFUSED void qat_add_low_rank_f32_avx2(float *out, const float *base, const float *b,
                                                const float *a, size_t R, size_t K, size_t C,
                                                float scale) {
    size_t r = 0;
    for (; r + 2 <= R; r += 2) {
        size_t c = 0;
        for (; c + 32 <= C; c += 32) {
            add_tile(out + r * C + c, base + r * C + c, b + r * K, a + c, K, C,
                     _mm256_set1_ps(scale));
        }
        for (size_t i = r; i < r + 2; i++) {
            add_rest(out + i * C, base + i * C, b + i * K, a, K, C, c, scale);
        }
    }
    for (; r < R; r++) add_rest(out + r * C, base + r * C, b + r * K, a, K, C, 0, scale);
}
#endif
