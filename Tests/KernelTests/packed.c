// Compares products with packed weights, by every twin that the processor has, with their definition
// computed from the codes as files have them, bit for bit.
//
// usage: packed [SEED]    prints "N passed, M failed"; exits 1 on a failure.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "CKernels.h"
#include "packed_scalar.h"

enum { MAX_ROWS = 50, MAX_COLUMNS = 320, MAX_INPUTS = 35, CANARY = 32, PRINTED_FAILURES = 20 };

static uint64_t state;
static long passed, failed;

static uint32_t random_bits(void) {
    state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(state >> 32);
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

typedef struct {
    const char *name;
    qat_packed_element element;
    size_t bits;
    qat_element grid;  // unused of 16 and 32 bits
} format;

static const format formats[] = {
    {"e2m1", QAT_PACKED_E2M1, 4, {1, 0, 2, 6.0f, 4, 0}},
    {"e2m3", QAT_PACKED_E2M3, 6, {3, 0, 2, 7.5f, 6, 0}},
    {"e3m2", QAT_PACKED_E3M2, 6, {2, -2, 4, 28.0f, 6, 0}},
    {"e4m3", QAT_PACKED_E4M3, 8, {3, -6, 8, 448.0f, 8, 0}},
    {"e5m2", QAT_PACKED_E5M2, 8, {2, -14, 15, 57344.0f, 8, 0}},
    {"int8", QAT_PACKED_INT8, 8, {6, 0, 0, 127.0f / 64.0f, 8, 1}},
    {"bf16", QAT_PACKED_BF16, 16, {0, 0, 0, 0, 0, 0}},
    {"f16", QAT_PACKED_F16, 16, {0, 0, 0, 0, 0, 0}},
    {"f32", QAT_PACKED_F32, 32, {0, 0, 0, 0, 0, 0}},
};
enum { FORMATS = sizeof formats / sizeof formats[0] };

// A finite code's bits.
static uint32_t random_code(const format *f) {
    uint32_t r = random_bits();
    switch (f->element) {
        case QAT_PACKED_E4M3: return (r & 127) == 127 ? 5 : r & 255;
        case QAT_PACKED_E5M2: return (r & 124) == 124 ? 5 : r & 255;
        case QAT_PACKED_INT8: return (r & 255) == 128 ? 129 : r & 255;
        case QAT_PACKED_BF16: return (r & 0x7F80) == 0x7F80 ? 0x3F80 : r & 0xFFFF;
        case QAT_PACKED_F16: return (r & 0x7C00) == 0x7C00 ? 0x3C00 : r & 0xFFFF;
        case QAT_PACKED_F32: return r % 16 == 0 ? r & 0x007FFFFF : r % 0x7F000000;
        default: return r & ((1u << f->bits) - 1);
    }
}

static float value_of(uint32_t code, const format *f) {
    float value;
    uint8_t byte = (uint8_t)code, one = 127;
    switch (f->element) {
        case QAT_PACKED_BF16: return float_of(code << 16);
        case QAT_PACKED_F32: return float_of(code);
        case QAT_PACKED_F16: {
            int exponent = (int)(code >> 10 & 31), mantissa = (int)(code & 1023);
            value = exponent ? ldexpf((float)(mantissa + 1024), exponent - 25)
                             : ldexpf((float)mantissa, -24);
            return code & 0x8000 ? -value : value;
        }
        default: {
            qat_block_format block = {f->grid, QAT_SCALES_E8M0, 0, 0, 1};
            qat_dequantize_f32_ref(&value, &byte, &one, 1, 1, &block);
            return value;
        }
    }
}

static void store_code(uint8_t *row, size_t k, uint32_t code, const format *f) {
    if (f->bits >= 8) {
        memcpy(row + k * f->bits / 8, &code, f->bits / 8);
        return;
    }
    size_t bit = k * f->bits;
    uint32_t word = row[bit / 8] | (uint32_t)row[bit / 8 + 1] << 8;
    word |= code << (bit % 8);
    row[bit / 8] = (uint8_t)word;
    row[bit / 8 + 1] = (uint8_t)(word >> 8);
}

static uint32_t codes[MAX_ROWS][MAX_COLUMNS];
static uint8_t row_scales[MAX_ROWS][MAX_COLUMNS];
static float inputs[MAX_INPUTS][MAX_COLUMNS], expected[MAX_INPUTS][MAX_ROWS];
static float output[MAX_INPUTS * (MAX_ROWS + CANARY)];

static void *aligned(size_t count) {
    void *memory = aligned_alloc(64, (count + 127) / 64 * 64);
    memset(memory, 0xA5, (count + 127) / 64 * 64);
    return memory;
}

static void define(const qat_packed_weight *w, const format *f, size_t count) {
    size_t block = w->steps == QAT_STEPS_ONE ? 32 : w->block;
    float unit = qat_packed_unit(f->element);
    for (size_t i = 0; i < count; i++)
        for (size_t row = 0; row < w->rows; row++) {
            float total = 0;
            for (size_t b = 0; b * block < w->columns; b++) {
                float s = 0, step = 1;
                for (size_t k = b * block; k < (b + 1) * block && k < w->columns; k++)
                    s = fmaf(value_of(codes[row][k], f) / unit, inputs[i][k], s);
                if (w->steps == QAT_STEPS_E8M0) step = qat_decode_e8m0(row_scales[row][b]);
                if (w->steps == QAT_STEPS_E4M3) step = qat_decode_e4m3(row_scales[row][b]);
                s = s * unit;
                total = fmaf(step, s, total);
            }
            expected[i][row] = total * w->factors[row];
        }
}

static uint8_t random_scale(qat_packed_steps steps) {
    uint32_t r = random_bits();
    if (steps == QAT_STEPS_E4M3) return (r & 127) == 127 ? 0 : r & 127;
    return r % 8 == 0 ? (uint8_t)(r >> 8 & 3) : r % 8 == 1 ? (uint8_t)(251 + (r >> 8) % 4)
                                                           : (uint8_t)(110 + (r >> 8) % 30);
}

typedef void product(const qat_packed_weight *, const float *, size_t, float *, size_t, size_t,
                     size_t, float *);

static void compare(const char *twin, product *kernel, const qat_packed_weight *w,
                    const format *f, size_t count, const float *packed, float *scratch) {
    size_t stride = MAX_ROWS + CANARY, tiles = qat_tile_count(w->rows);
    size_t middle = tiles ? random_bits() % (tiles + 1) : 0;
    for (size_t i = 0; i < MAX_INPUTS * stride; i++) output[i] = -12345;
    kernel(w, packed, count, output, stride, 0, middle, scratch);
    kernel(w, packed, count, output, stride, middle, tiles, scratch);
    for (size_t i = 0; i < count; i++)
        for (size_t row = 0; row < stride; row++) {
            float want = row < w->rows ? expected[i][row] : -12345;
            float got = output[i * stride + row];
            int same = memcmp(&want, &got, 4) == 0 || (want != want && got != got);
            passed += same;
            failed += !same;
            if (!same && failed <= PRINTED_FAILURES)
                printf("%s %s steps %d block %zu [%zu, %zu] x %zu: y[%zu][%zu] = %a, not %a\n", twin,
                       f->name, w->steps, w->block, w->rows, w->columns, count, i, row, got, want);
        }
}

static void check_rows(const qat_packed_weight *w, const format *f) {
    float row[MAX_COLUMNS];
    for (size_t r = 0; r < w->rows; r++) {
        qat_unpack_row(row, w, r);
        for (size_t k = 0; k < w->columns; k++) {
            float step = 1;
            if (w->steps == QAT_STEPS_E8M0) step = qat_decode_e8m0(row_scales[r][k / w->block]);
            if (w->steps == QAT_STEPS_E4M3) step = qat_decode_e4m3(row_scales[r][k / w->block]);
            step *= w->factors[r];
            float want = value_of(codes[r][k], f) * step;
            int same = memcmp(&want, &row[k], 4) == 0 || (want != want && row[k] != row[k]);
            passed += same;
            failed += !same;
        }
    }
}

static void try_one(const format *f, qat_packed_steps steps, size_t block) {
    size_t rows = 1 + random_bits() % MAX_ROWS, count = 1 + random_bits() % MAX_INPUTS;
    size_t unit = steps != QAT_STEPS_ONE ? block : f->bits == 6 ? 4 : f->bits == 4 ? 2 : 1;
    size_t columns = unit * (1 + random_bits() % (MAX_COLUMNS / unit));
    if (random_bits() % 2) count = 1 + count % 9;
    size_t tiles = qat_tile_count(rows), groups = qat_tile_groups(columns);
    size_t code_bytes = groups * qat_packed_group_bytes(f->element);
    size_t high_bytes = groups * qat_packed_high_bytes(f->element);
    size_t blocks = columns / block, row_bytes = columns * f->bits / 8;
    uint8_t *tiled = aligned(tiles * code_bytes + 64), *high = aligned(tiles * high_bytes + 64);
    uint8_t *scales = aligned(tiles * blocks * 16 + 64);
    uint8_t *source = calloc(16 * row_bytes + 2, 1), *source_scales = malloc(16 * blocks + 1);
    float *factors = aligned(tiles * 16 * sizeof(float));
    for (size_t r = 0; r < tiles * 16; r++)
        factors[r] = steps == QAT_STEPS_E8M0 ? 1 : ldexpf(1 + (float)(random_bits() % 999) / 999, -3);
    for (size_t tile = 0; tile < tiles; tile++) {
        size_t there = rows - tile * 16 < 16 ? rows - tile * 16 : 16;
        memset(source, 0, 16 * row_bytes);
        for (size_t r = 0; r < there; r++) {
            for (size_t k = 0; k < columns; k++) {
                codes[tile * 16 + r][k] = random_code(f);
                store_code(source + r * row_bytes, k, codes[tile * 16 + r][k], f);
            }
            for (size_t b = 0; b < blocks; b++)
                source_scales[r * blocks + b] = row_scales[tile * 16 + r][b] = random_scale(steps);
        }
        qat_tile_codes(tiled + tile * code_bytes, high + tile * high_bytes, source, row_bytes, there,
                       columns, f->element);
        if (steps != QAT_STEPS_ONE)
            qat_tile_scales(scales + tile * blocks * 16, source_scales, there, blocks, steps);
    }
    int tiny = random_bits() % 8 == 0;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < columns; k++) {
            inputs[i][k] = ldexpf((float)(int32_t)random_bits(), tiny ? -170 : -31);
            if (random_bits() % 64 == 0) inputs[i][k] = 0;
        }
    qat_packed_weight w = {tiled, high, scales, factors, rows, columns, block, f->element, steps};
    float *packed = aligned(qat_packed_input_count(count, columns) * sizeof(float));
    float *scratch = aligned(qat_packed_scratch_count(count) * sizeof(float) + 64);
    qat_pack_inputs(packed, inputs[0], MAX_COLUMNS, count, columns);
    define(&w, f, count);
    check_rows(&w, f);
    compare("ref", qat_product_packed_ref, &w, f, count, packed, scratch);
    compare("dispatched", qat_product_packed, &w, f, count, packed, scratch);
#if defined(__x86_64__)
    if (strcmp(qat_packed_twin(), "ref")) compare("avx2", qat_product_packed_avx2, &w, f, count, packed, scratch);
#endif
    free(tiled), free(high), free(scales), free(source), free(source_scales), free(factors);
    free(packed), free(scratch);
}

int main(int argc, char **argv) {
    state = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    static const size_t block_sizes[] = {32, 16, 8, 64, 128};
    for (int round = 0; round < 40; round++)
        for (size_t i = 0; i < FORMATS; i++) {
            try_one(&formats[i], QAT_STEPS_ONE, 32);
            if (formats[i].bits > 8) continue;
            size_t block = block_sizes[random_bits() % 5];
            try_one(&formats[i], QAT_STEPS_E8M0, round % 2 ? 32 : block);
            try_one(&formats[i], QAT_STEPS_E4M3, round % 2 ? 16 : block);
        }
    printf("%s: %ld passed, %ld failed\n", qat_packed_twin(), passed, failed);
    return failed || passed == 0;
}
