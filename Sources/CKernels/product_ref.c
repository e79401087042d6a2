// The specification of products of BF16 operands.
#include <math.h>
#include <string.h>
#include "qat_product.h"

static uint32_t bits_of(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// To nearest, ties to even; NaN stays NaN and becomes quiet; subnormal values become zero, as the
// processor's conversion has it.
static uint32_t bf16_of(float x) {
    uint32_t bits = bits_of(x);
    if (x != x) return bits >> 16 | 0x40;
    if ((bits & 0x7F800000u) == 0) return bits >> 16 & 0x8000;
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
}

static float flushed(float x) {
    uint32_t bits = bits_of(x);
    return (bits & 0x7F800000u) == 0 ? float_of(bits & 0x80000000u) : x;
}

static float element(const qat_product_source *s, size_t item, size_t k) {
    if (item >= s->items || k >= s->depth) return 0;
    return s->source[item * s->item_stride + k * s->depth_stride];
}

void qat_pack_bf16_ref(uint32_t *panels, const qat_product_source *s, size_t width, size_t first,
                       size_t last) {
    size_t pairs = (s->depth + 1) / 2;
    for (size_t p = first; p < last; p++)
        for (size_t k = 0; k < pairs; k++)
            for (size_t i = 0; i < width; i++) {
                size_t item = p * width + i;
                uint32_t low = bf16_of(element(s, item, 2 * k));
                uint32_t high = bf16_of(element(s, item, 2 * k + 1));
                panels[(p * pairs + k) * width + i] = low | high << 16;
            }
}

// sum + x * y, flushed; the product of two BF16 values is exact in FP32 unless it is subnormal.
static float plus_product(float sum, uint32_t x, uint32_t y) {
    return flushed(fmaf(flushed(float_of(x)), flushed(float_of(y)), sum));
}

static float block_sum(const uint32_t *a, const uint32_t *b, size_t pairs) {
    float sum = 0;
    for (size_t k = 0; k < pairs; k++) {
        uint32_t x = a[k * QAT_PRODUCT_ROWS], y = b[k * QAT_PRODUCT_COLUMNS];
        sum = plus_product(sum, x & 0xFFFF0000u, y & 0xFFFF0000u);
        sum = plus_product(sum, x << 16, y << 16);
    }
    return sum;
}

void qat_transpose_bf16_ref(uint32_t *transposed, const qat_product_panels *source, size_t first,
                       size_t last) {
    size_t pairs = (source->depth + 1) / 2, transposed_pairs = (source->items + 1) / 2;
    for (size_t panel = first; panel < last; panel++)
        for (size_t pair = 0; pair < transposed_pairs; pair++)
            for (size_t lane = 0; lane < QAT_PRODUCT_COLUMNS; lane++) {
                size_t k = panel * QAT_PRODUCT_COLUMNS + lane;
                uint32_t word = 0;
                for (size_t h = 0; h < 2 && k < source->depth; h++) {
                    size_t item = 2 * pair + h, p = item / QAT_PRODUCT_COLUMNS;
                    if (item >= source->items) break;
                    uint32_t both = source->panels[(p * pairs + k / 2) * QAT_PRODUCT_COLUMNS +
                                                   item % QAT_PRODUCT_COLUMNS];
                    word |= (both >> 16 * (k % 2) & 0xFFFF) << 16 * h;
                }
                size_t place = (panel - first) * transposed_pairs + pair;
                transposed[place * QAT_PRODUCT_COLUMNS + lane] = word;
            }
}

void qat_product_bf16_ref(const qat_product *p, size_t first_row, size_t last_row,
                          size_t first_column, size_t last_column) {
    size_t pairs = (p->depth + 1) / 2, block = qat_product_block(p->depth);
    for (size_t r = first_row * QAT_PRODUCT_ROWS; r < last_row * QAT_PRODUCT_ROWS; r++) {
        if (r >= p->rows) break;
        const uint32_t *a = p->a + r / QAT_PRODUCT_ROWS * QAT_PRODUCT_ROWS * pairs +
                            r % QAT_PRODUCT_ROWS;
        for (size_t n = first_column * QAT_PRODUCT_COLUMNS;
             n < last_column * QAT_PRODUCT_COLUMNS && n < p->columns; n++) {
            const uint32_t *b = p->b + n / QAT_PRODUCT_COLUMNS * QAT_PRODUCT_COLUMNS * pairs +
                                n % QAT_PRODUCT_COLUMNS;
            float *c = p->c + r * p->c_stride + n;
            if (!p->accumulate) *c = 0;
            for (size_t k = 0; k < p->depth; k += block) {
                size_t count = p->depth - k < block ? p->depth - k : block;
                float sum = block_sum(a + k / 2 * QAT_PRODUCT_ROWS,
                                      b + k / 2 * QAT_PRODUCT_COLUMNS, (count + 1) / 2);
                *c += p->alpha * sum;
            }
        }
    }
}
