// Twins for processors with AVX-512 BF16.
#if defined(__x86_64__)
#include <immintrin.h>
#include "product_twins.h"

#define QAT_AVX512_BF16 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16,fma")))
enum { ROWS = QAT_PRODUCT_ROWS, COLUMNS = QAT_PRODUCT_COLUMNS };

static inline __mmask16 first_lanes(size_t count) {
    return (__mmask16)(count >= 16 ? 0xFFFFu : (1u << count) - 1);
}

// The 16 x 16 matrix of words in v, transposed.
QAT_AVX512_BF16 static inline void transpose(__m512i v[16]) {
    __m512i t[16];
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            v[i + 2 * j] = _mm512_unpacklo_epi64(t[i + j], t[i + j + 2]);
            v[i + 2 * j + 1] = _mm512_unpackhi_epi64(t[i + j], t[i + j + 2]);
        }
    // Row i of the result is spread over the 128-bit lanes of v[i % 4], v[4 + i % 4], ...
    for (int i = 0; i < 4; i++) {
        __m512i even_low = _mm512_shuffle_i32x4(v[i], v[4 + i], 0x88);
        __m512i odd_low = _mm512_shuffle_i32x4(v[i], v[4 + i], 0xDD);
        __m512i even_high = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0x88);
        __m512i odd_high = _mm512_shuffle_i32x4(v[8 + i], v[12 + i], 0xDD);
        t[i] = _mm512_shuffle_i32x4(even_low, even_high, 0x88);
        t[4 + i] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
        t[8 + i] = _mm512_shuffle_i32x4(even_low, even_high, 0xDD);
        t[12 + i] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xDD);
    }
    for (int i = 0; i < 16; i++) v[i] = t[i];
}

// Items whose elements lie one behind the other: 16 items by 32 elements at a time.
QAT_AVX512_BF16 static void pack_rows(uint32_t *panel, const qat_product_source *s, size_t width,
                                      size_t item) {
    size_t count = s->items - item < width ? s->items - item : width;
    for (size_t k = 0; k < s->depth; k += 32) {
        size_t left = s->depth - k;
        size_t pairs = left >= 32 ? 16 : (left + 1) / 2;
        __mmask16 low = first_lanes(left), high = first_lanes(left > 16 ? left - 16 : 0);
        for (size_t q = 0; q < width; q += 16) {
            __m512i v[16];
            for (size_t i = 0; i < 16; i++) {
                if (q + i >= count) {
                    v[i] = _mm512_setzero_si512();
                    continue;
                }
                const float *x = s->source + (item + q + i) * s->item_stride + k;
                v[i] = (__m512i)_mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, x + 16),
                                                    _mm512_maskz_loadu_ps(low, x));
            }
            transpose(v);
            __mmask16 lanes = first_lanes(width - q);
            for (size_t j = 0; j < pairs; j++)
                _mm512_mask_storeu_epi32(panel + (k / 2 + j) * width + q, lanes, v[j]);
        }
    }
}

// Items that lie beside one another: two elements of 16 items at a time. Panels side by side are packed
// together, so that memory is read along its rows.
QAT_AVX512_BF16 static void pack_columns(uint32_t *panels, const qat_product_source *s,
                                         size_t width, size_t first, size_t last) {
    size_t words = width * ((s->depth + 1) / 2);
    __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                     23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    for (size_t k = 0; k < s->depth; k += 2)
        for (size_t p = first; p < last; p++) {
            size_t item = p * width;
            size_t count = s->items - item < width ? s->items - item : width;
            uint32_t *panel = panels + p * words + k / 2 * width;
            for (size_t q = 0; q < width; q += 16) {
                const float *x = s->source + k * s->depth_stride + item + q;
                __mmask16 there = first_lanes(count > q ? count - q : 0);
                __mmask16 next = k + 1 < s->depth ? there : 0;
                __m512 low = _mm512_maskz_loadu_ps(there, x);
                __m512 high = _mm512_maskz_loadu_ps(next, x + s->depth_stride);
                __m512i pairs =
                    _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(high, low));
                _mm512_mask_storeu_epi32(panel + q, first_lanes(width - q), pairs);
            }
        }
}

// Panels that are packed side by side: their rows of the source are a few cache lines.
enum { PACKED_TOGETHER = 8 };

void qat_pack_bf16_avx512(uint32_t *panels, const qat_product_source *s, size_t width,
                          size_t first, size_t last) {
    size_t words = width * ((s->depth + 1) / 2);
    if (s->depth_stride == 1) {
        for (size_t p = first; p < last; p++) pack_rows(panels + p * words, s, width, p * width);
        return;
    }
    for (size_t p = first; p < last; p += PACKED_TOGETHER)
        pack_columns(panels, s, width, p,
                     last - p < PACKED_TOGETHER ? last : p + PACKED_TOGETHER);
}

// The 8 x 8 matrix of 64-bit words in v, transposed.
QAT_AVX512_BF16 static inline void transpose_pairs(__m512i v[8]) {
    __m512i t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm512_unpacklo_epi64(v[i], v[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi64(v[i], v[i + 1]);
    }
    // t[2q + h]: words h, h + 2, h + 4, h + 6 of rows 2q and 2q + 1.
    for (int h = 0; h < 2; h++) {
        __m512i a = _mm512_shuffle_i64x2(t[h], t[2 + h], 0x88);
        __m512i b = _mm512_shuffle_i64x2(t[4 + h], t[6 + h], 0x88);
        __m512i c = _mm512_shuffle_i64x2(t[h], t[2 + h], 0xDD);
        __m512i d = _mm512_shuffle_i64x2(t[4 + h], t[6 + h], 0xDD);
        v[h] = _mm512_shuffle_i64x2(a, b, 0x88);
        v[4 + h] = _mm512_shuffle_i64x2(a, b, 0xDD);
        v[2 + h] = _mm512_shuffle_i64x2(c, d, 0x88);
        v[6 + h] = _mm512_shuffle_i64x2(c, d, 0xDD);
    }
}

// 32 items by 32 elements: 16 rows of pairs become 16 rows of pairs the other way.
QAT_AVX512_BF16 static void transpose_block(uint32_t *transposed, const uint32_t *source, size_t rows,
                                       size_t stored) {
    // Of two items, the first elements and then the second ones.
    const __m512i join = _mm512_broadcast_i32x4(
        _mm_setr_epi8(0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
    for (size_t half = 0; half < 2; half++)
        for (size_t part = 0; part < 2; part++) {
            __m512i v[8];
            for (size_t j = 0; j < 8; j++) {
                size_t row = 8 * part + j;
                v[j] = row < rows ? _mm512_loadu_si512(source + row * COLUMNS + 16 * half)
                                  : _mm512_setzero_si512();
                v[j] = _mm512_shuffle_epi8(v[j], join);
            }
            transpose_pairs(v);
            for (size_t i = 0; i < 8 && 8 * half + i < stored; i++)
                _mm512_storeu_si512(transposed + (8 * half + i) * COLUMNS + 16 * part, v[i]);
        }
}

QAT_AVX512_BF16 void qat_transpose_bf16_avx512(uint32_t *transposed, const qat_product_panels *s,
                                          size_t first, size_t last) {
    size_t pairs = (s->depth + 1) / 2, transposed_pairs = (s->items + 1) / 2;
    for (size_t t = first; t < last; t++)
        for (size_t p = 0; p * COLUMNS < s->items; p++) {
            size_t rows = pairs - 16 * t, stored = transposed_pairs - 16 * p;
            transpose_block(transposed + ((t - first) * transposed_pairs + 16 * p) * COLUMNS,
                       s->panels + (p * pairs + 16 * t) * COLUMNS, rows, stored);
        }
}

typedef struct {
    float *start;
    size_t stride, rows, columns;
    float alpha;
    int accumulate;
} tile;

QAT_AVX512_BF16 static inline void store(const tile *c, size_t row, size_t lane, __m512 sum) {
    if (row >= c->rows || lane >= c->columns) return;
    __mmask16 lanes = first_lanes(c->columns - lane);
    float *x = c->start + row * c->stride + lane;
    sum = _mm512_mul_ps(_mm512_set1_ps(c->alpha), sum);
    __m512 old = c->accumulate ? _mm512_maskz_loadu_ps(lanes, x) : _mm512_setzero_ps();
    _mm512_mask_storeu_ps(x, lanes, _mm512_add_ps(old, sum));
}

// 14 rows by 32 columns of c: 28 sums stay in registers while a block of k passes by.
QAT_AVX512_BF16 static void multiply_tile(const uint32_t *a, const uint32_t *b, size_t pairs,
                                          const tile *c) {
    __m512 sum[ROWS][2];
#pragma clang loop unroll(full)
    for (int i = 0; i < ROWS; i++) sum[i][0] = sum[i][1] = _mm512_setzero_ps();
    for (size_t k = 0; k < pairs; k++, a += ROWS, b += COLUMNS) {
        __m512bh low = (__m512bh)_mm512_loadu_si512(b);
        __m512bh high = (__m512bh)_mm512_loadu_si512(b + 16);
#pragma clang loop unroll(full)
        for (int i = 0; i < ROWS; i++) {
            __m512bh x = (__m512bh)_mm512_set1_epi32((int)a[i]);
            sum[i][0] = _mm512_dpbf16_ps(sum[i][0], low, x);
            sum[i][1] = _mm512_dpbf16_ps(sum[i][1], high, x);
        }
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < ROWS; i++) {
        store(c, (size_t)i, 0, sum[i][0]);
        store(c, (size_t)i, 16, sum[i][1]);
    }
}

static size_t smaller(size_t a, size_t b) { return a < b ? a : b; }

// Panels of b that stay in the second-level cache, and of a in the third, while a block of k is used.
enum { COLUMN_PANELS = 24, ROW_PANELS = 18 };

void qat_product_bf16_avx512(const qat_product *p, size_t first_row, size_t last_row,
                             size_t first_column, size_t last_column) {
    size_t pairs = (p->depth + 1) / 2, block = qat_product_block(p->depth);
    for (size_t q0 = first_column; q0 < last_column; q0 += COLUMN_PANELS)
        for (size_t k = 0; k < p->depth; k += block)
            for (size_t r0 = first_row; r0 < last_row; r0 += ROW_PANELS)
                for (size_t q = q0; q < smaller(q0 + COLUMN_PANELS, last_column); q++)
                    for (size_t r = r0; r < smaller(r0 + ROW_PANELS, last_row); r++) {
                        tile c = {
                            .start = p->c + r * ROWS * p->c_stride + q * COLUMNS,
                            .stride = p->c_stride,
                            .rows = smaller(p->rows - r * ROWS, ROWS),
                            .columns = smaller(p->columns - q * COLUMNS, COLUMNS),
                            .alpha = p->alpha,
                            .accumulate = p->accumulate || k > 0,
                        };
                        size_t count = smaller(p->depth - k, block);
                        multiply_tile(p->a + (r * pairs + k / 2) * ROWS,
                                      p->b + (q * pairs + k / 2) * COLUMNS, (count + 1) / 2, &c);
                    }
}
#endif
