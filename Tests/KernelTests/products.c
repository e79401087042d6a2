// Compares the fast BF16 products with their reference, bit for bit, and the reference with a sum in
// double precision.
//
// usage: products [SEED]    prints "N passed, M failed"; exits 1 on a failure. Where the processor has
// no such instructions, says so: the reference is compared alone.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "CKernels.h"
#include "product_twins.h"

enum { CASES = 300, PRINTED_FAILURES = 10, CANARY = 16 };

static uint64_t state;
static long passed, failed;

static uint32_t random_bits(void) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 32);
}

// Mostly near one; now and then of any magnitude down to subnormal, or not finite.
static float value(int is_tame) {
    uint32_t r = random_bits();
    float near_one = (float)(int32_t)r * 0x1p-30f;
    if (is_tame || r % 8) return near_one;
    if (r % 512 == 0) return r & 1024 ? INFINITY : NAN;
    return ldexpf(near_one, (int)(random_bits() % 260) - 135);
}

static void check(const char *what, int is_right) {
    if (is_right) {
        passed++;
    } else if (failed++ < PRINTED_FAILURES) {
        printf("%s differs\n", what);
    }
}

static float *values(size_t count, int is_tame) {
    float *x = malloc(count * sizeof *x);
    for (size_t i = 0; i < count; i++) x[i] = value(is_tame);
    return x;
}

// A matrix of items by depth, either way round.
typedef struct {
    float *storage;
    qat_product_source source;
    size_t width, words;
    uint32_t *panels;
} operand;

static operand make_operand(size_t items, size_t depth, size_t width, int is_tame) {
    operand o = {.storage = values(items * depth, is_tame), .width = width};
    int is_transposed = random_bits() & 1;
    o.source = (qat_product_source){
        .source = o.storage,
        .item_stride = is_transposed ? 1 : depth,
        .depth_stride = is_transposed ? items : 1,
        .items = items,
        .depth = depth,
    };
    o.words = qat_product_words(items, depth, width);
    o.panels = malloc((o.words + CANARY) * sizeof *o.panels);
    memset(o.panels, 0x5A, (o.words + CANARY) * sizeof *o.panels);
    qat_pack_bf16_ref(o.panels, &o.source, width, 0, (items + width - 1) / width);
    return o;
}

static void free_operand(operand o) {
    free(o.storage);
    free(o.panels);
}

static void check_packing(const operand *o) {
    size_t count = (o->source.items + o->width - 1) / o->width, half = count / 2;
    uint32_t *panels = malloc((o->words + CANARY) * sizeof *panels);
    memset(panels, 0x5A, (o->words + CANARY) * sizeof *panels);
    qat_pack_bf16(panels, &o->source, o->width, half, count);
    qat_pack_bf16(panels, &o->source, o->width, 0, half);
    check("packing", memcmp(panels, o->panels, (o->words + CANARY) * sizeof *panels) == 0);
    free(panels);
}

// Panels of the other side are those that are packed from the transposed matrix.
static void check_transposing(const operand *o) {
    qat_product_source other = {
        .source = o->source.source,
        .item_stride = o->source.depth_stride,
        .depth_stride = o->source.item_stride,
        .items = o->source.depth,
        .depth = o->source.items,
    };
    size_t words = qat_product_words(other.items, other.depth, o->width), half;
    size_t size = (words + CANARY) * sizeof(uint32_t);
    size_t count = (other.items + o->width - 1) / o->width;
    uint32_t *expected = malloc(size), *found = malloc(size), *reference = malloc(size);
    memset(expected, 0x5A, size);
    memset(found, 0x5A, size);
    memset(reference, 0x5A, size);
    qat_product_panels source = {o->panels, o->source.items, o->source.depth};
    qat_pack_bf16_ref(expected, &other, o->width, 0, count);
    qat_transpose_bf16_ref(reference, &source, 0, count);
    half = count / 2;
    qat_transpose_bf16(found + half * (words / (count ? count : 1)), &source, half, count);
    qat_transpose_bf16(found, &source, 0, half);
    check("transposing, reference", memcmp(reference, expected, size) == 0);
    check("transposing", memcmp(found, expected, size) == 0);
    free(expected);
    free(found);
    free(reference);
}

static int same(const float *x, const float *y, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (memcmp(x + i, y + i, sizeof *x) && !(isnan(x[i]) && isnan(y[i]))) return 0;
    return 1;
}

static float element(const operand *o, size_t item, size_t k) {
    return o->source.source[item * o->source.item_stride + k * o->source.depth_stride];
}

// BF16 has eight significant bits: each factor is off by 2^-9 of itself at most.
static void check_definition(const operand *a, const operand *b, const qat_product *p,
                             const float *before) {
    int is_right = 1;
    for (size_t r = 0; r < p->rows; r++)
        for (size_t n = 0; n < p->columns; n++) {
            double sum = 0, size = 0;
            for (size_t k = 0; k < p->depth; k++) {
                double term = (double)element(a, r, k) * element(b, n, k);
                sum += term;
                size += fabs(term);
            }
            double old = p->accumulate ? before[r * p->c_stride + n] : 0;
            double error = fabs(p->c[r * p->c_stride + n] - (old + p->alpha * sum));
            is_right &= error <= p->alpha * size * 0x1p-7 + fabs(old) * 0x1p-20 + 1e-30;
        }
    check("the definition", is_right);
}

static void check_case(int is_tame) {
    size_t rows = 1 + random_bits() % 60, columns = 1 + random_bits() % 100;
    size_t depth = 1 + random_bits() % 1500, stride = columns + random_bits() % 3;
    operand a = make_operand(rows, depth, QAT_PRODUCT_ROWS, is_tame);
    operand b = make_operand(columns, depth, QAT_PRODUCT_COLUMNS, is_tame);
    check_packing(&a);
    check_packing(&b);
    check_transposing(&b);
    float *before = values(rows * stride, is_tame);
    float *expected = malloc(rows * stride * sizeof *expected);
    float *found = malloc(rows * stride * sizeof *found);
    memcpy(expected, before, rows * stride * sizeof *before);
    memcpy(found, before, rows * stride * sizeof *before);
    qat_product p = {a.panels, b.panels, expected, stride, rows, columns, depth,
                     random_bits() & 1 ? 1 : 0.37f, (int)(random_bits() & 1)};
    size_t row_panels = (rows + QAT_PRODUCT_ROWS - 1) / QAT_PRODUCT_ROWS;
    size_t column_panels = (columns + QAT_PRODUCT_COLUMNS - 1) / QAT_PRODUCT_COLUMNS;
    qat_product_bf16_ref(&p, 0, row_panels, 0, column_panels);
    if (is_tame) check_definition(&a, &b, &p, before);
    // In parts, as threads take it: an element does not depend on them.
    p.c = found;
    size_t r = row_panels / 2, n = column_panels / 3;
    qat_product_bf16(&p, 0, r, 0, column_panels);
    qat_product_bf16(&p, r, row_panels, n, column_panels);
    qat_product_bf16(&p, r, row_panels, 0, n);
    check("product", same(found, expected, rows * stride));
    free(before);
    free(expected);
    free(found);
    free_operand(a);
    free_operand(b);
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20261126;
    state = seed;
    for (int i = 0; i < CASES; i++) check_case(i % 2);
    const char *twin = qat_has_bf16_product()
                           ? "avx512-bf16"
                           : "no BF16 products on this processor, the reference alone";
    printf("%s, seed %" PRIu64 ": %ld passed, %ld failed\n", twin, seed, passed, failed);
    return failed > 0;
}
