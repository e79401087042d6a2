// Attention over cached rows for any vector width: the compiler splits sixteen lanes into as many
// registers as they take. A twin defines LANES_TARGET and LANES_NAME and includes this.
#include <string.h>
#include "qat_cached_attention.h"

typedef float lanes16 __attribute__((vector_size(64), aligned(4)));
typedef float lanes8 __attribute__((vector_size(32)));
typedef float lanes4 __attribute__((vector_size(16)));

// Macros: vectors wider than the registers do not pass through functions.
#define LOAD16(p) (*(const lanes16 *)(p))
#define LOWER8(x) __builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7)
#define UPPER8(x) __builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)
#define LOWER4(x) __builtin_shufflevector(x, x, 0, 1, 2, 3)
#define UPPER4(x) __builtin_shufflevector(x, x, 4, 5, 6, 7)

// Four sums are left of each row.
#define FOLD(to, sums)                          \
    do {                                        \
        lanes8 eight = LOWER8(sums) + UPPER8(sums); \
        to = LOWER4(eight) + UPPER4(eight);     \
    } while (0)

// The elements behind the last sixteen, zeros behind them: adding their products changes no sum.
#define LOAD_REST(to, p, count)              \
    do {                                     \
        float padded[16] = {0};              \
        memcpy(padded, p, (count) * sizeof *padded); \
        to = LOAD16(padded);                 \
    } while (0)

LANES_TARGET void LANES_NAME(qat_dot_rows_f32)(float *scores, const float *q, const float *rows,
                                               size_t n, size_t stride, size_t dimension) {
    const size_t whole = dimension / 16 * 16, rest = dimension - whole;
    lanes16 rest_q = {0};
    if (rest) LOAD_REST(rest_q, q + whole, rest);
    size_t t = 0;
    // Four rows at a time: their last sums are columns of a square that is turned once.
    for (; t + 4 <= n; t += 4) {
        const float *r0 = rows + t * stride, *r1 = r0 + stride, *r2 = r1 + stride,
                    *r3 = r2 + stride;
        lanes16 a = {0}, b = {0}, c = {0}, e = {0};
        for (size_t d = 0; d < whole; d += 16) {
            lanes16 x = LOAD16(q + d);
            a = __builtin_elementwise_fma(x, LOAD16(r0 + d), a);
            b = __builtin_elementwise_fma(x, LOAD16(r1 + d), b);
            c = __builtin_elementwise_fma(x, LOAD16(r2 + d), c);
            e = __builtin_elementwise_fma(x, LOAD16(r3 + d), e);
        }
        if (rest) {
            lanes16 row;
            LOAD_REST(row, r0 + whole, rest);
            a = __builtin_elementwise_fma(rest_q, row, a);
            LOAD_REST(row, r1 + whole, rest);
            b = __builtin_elementwise_fma(rest_q, row, b);
            LOAD_REST(row, r2 + whole, rest);
            c = __builtin_elementwise_fma(rest_q, row, c);
            LOAD_REST(row, r3 + whole, rest);
            e = __builtin_elementwise_fma(rest_q, row, e);
        }
        lanes4 fa, fb, fc, fe;
        FOLD(fa, a);
        FOLD(fb, b);
        FOLD(fc, c);
        FOLD(fe, e);
        lanes4 ab_low = __builtin_shufflevector(fa, fb, 0, 4, 1, 5);
        lanes4 ab_high = __builtin_shufflevector(fa, fb, 2, 6, 3, 7);
        lanes4 ce_low = __builtin_shufflevector(fc, fe, 0, 4, 1, 5);
        lanes4 ce_high = __builtin_shufflevector(fc, fe, 2, 6, 3, 7);
        // a0+a2 b0+b2 a1+a3 b1+b3
        lanes4 ab = ab_low + ab_high, ce = ce_low + ce_high;
        lanes4 sums = __builtin_shufflevector(ab, ce, 0, 1, 4, 5) +
                      __builtin_shufflevector(ab, ce, 2, 3, 6, 7);
        memcpy(scores + t, &sums, sizeof sums);
    }
    for (; t < n; t++) {
        const float *row = rows + t * stride;
        lanes16 sums = {0};
        for (size_t d = 0; d < whole; d += 16)
            sums = __builtin_elementwise_fma(LOAD16(q + d), LOAD16(row + d), sums);
        if (rest) {
            lanes16 last;
            LOAD_REST(last, row + whole, rest);
            sums = __builtin_elementwise_fma(rest_q, last, sums);
        }
        lanes4 four;
        FOLD(four, sums);
        scores[t] = (four[0] + four[2]) + (four[1] + four[3]);
    }
}

LANES_TARGET void LANES_NAME(qat_mix_rows_f32)(float *out, const float *p, const float *rows,
                                               size_t n, size_t stride, size_t dimension) {
    size_t d = 0;
    for (; d + 64 <= dimension; d += 64) {
        lanes16 a = LOAD16(out + d), b = LOAD16(out + d + 16), c = LOAD16(out + d + 32),
                e = LOAD16(out + d + 48);
        for (size_t t = 0; t < n; t++) {
            const float *row = rows + t * stride + d;
            lanes16 share = (lanes16){0} + p[t];
            a = __builtin_elementwise_fma(share, LOAD16(row), a);
            b = __builtin_elementwise_fma(share, LOAD16(row + 16), b);
            c = __builtin_elementwise_fma(share, LOAD16(row + 32), c);
            e = __builtin_elementwise_fma(share, LOAD16(row + 48), e);
        }
        memcpy(out + d, &a, sizeof a);
        memcpy(out + d + 16, &b, sizeof b);
        memcpy(out + d + 32, &c, sizeof c);
        memcpy(out + d + 48, &e, sizeof e);
    }
    for (; d < dimension; d += 16) {
        const size_t count = dimension - d < 16 ? dimension - d : 16;
        lanes16 sums, row;
        LOAD_REST(sums, out + d, count);
        for (size_t t = 0; t < n; t++) {
            lanes16 share = (lanes16){0} + p[t];
            LOAD_REST(row, rows + t * stride + d, count);
            sums = __builtin_elementwise_fma(share, row, sums);
        }
        memcpy(out + d, &sums, count * sizeof *out);
    }
}
