// Compares every fast quantization kernel with its reference, bit for bit.
//
// usage: twins [SEED]    prints "N passed, M failed"; exits 1 on a failure, or where there is no
// fast twin to compare.
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "CKernels.h"
#include "dispatch.h"

enum { MAX_COUNT = 4096, CANARY = 64, PRINTED_FAILURES = 20 };

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
    qat_element grid;
} named_element;

static const named_element elements[] = {
    {"e2m1", {1, 0, 2, 6.0f, 4, 0}},         {"e2m3", {3, 0, 2, 7.5f, 6, 0}},
    {"e3m2", {2, -2, 4, 28.0f, 6, 0}},       {"e4m3", {3, -6, 8, 448.0f, 8, 0}},
    {"e5m2", {2, -14, 15, 57344.0f, 8, 0}},  {"int8", {6, 0, 0, 127.0f / 64.0f, 8, 1}},
};
enum { ELEMENTS = sizeof elements / sizeof elements[0] };

static const char *const scale_kinds[] = {"e8m0", "e4m3", "f32"};
static const char *const scale_modes[] = {"floor", "even", "even_ct", "ceil", "rceil"};
static const char *const ties[] = {"even", "away", "zero"};

// A block's character; every one occurs in every run.
enum {
    ANY_BITS, NEAR_ONE, TIES, ZEROS, SUBNORMAL, HUGE, POWERS, MIXED, NOT_FINITE, CHARACTERS
};

// A finite float of any magnitude.
static float any_finite(void) {
    float x = float_of(random_bits());
    return isfinite(x) ? x : 1.0f;
}

static float value_of(int character, int exponent) {
    uint32_t r = random_bits(), sign = r & 0x80000000, mantissa = r & 0x7FFFFF;
    switch (character) {
        case ANY_BITS: return any_finite();
        case NEAR_ONE: return (float)(int32_t)r * 0x1p-30f;
        case TIES: {
            // Four mantissa bits at most: half of what is rounded is a tie or nearly one.
            uint32_t field = (uint32_t)(exponent - (int)(r >> 8 & 7));
            uint32_t bits = (mantissa & 0x780000) + (r & 3) - 1;
            return float_of(sign | ((field << 23) + bits));
        }
        case ZEROS: return float_of(sign);
        case SUBNORMAL: return float_of(sign | (mantissa >> (r >> 24 & 15)));
        case HUGE: return float_of(sign | UINT32_C(254) << 23 | mantissa);
        case POWERS: return float_of(sign | (uint32_t)exponent << 23);
        default: return r % 5 == 0 ? float_of(sign) : (float)(int32_t)r * 0x1p-33f;
    }
}

static void fill(float *x, size_t count, size_t block, int allows_non_finite) {
    int characters = allows_non_finite ? CHARACTERS : NOT_FINITE;
    for (size_t start = 0; start < count; start += block) {
        int character = (int)(random_bits() % (uint32_t)characters);
        int exponent = 10 + (int)(random_bits() % 244);
        size_t end = start + block < count ? start + block : count;
        for (size_t i = start; i < end; i++) x[i] = value_of(character, exponent);
        if (character == NOT_FINITE) {
            static const uint32_t specials[] = {0x7F800000, 0xFF800000, 0x7FC00000, 0xFFC12345};
            x[start + random_bits() % (end - start)] = float_of(specials[random_bits() % 4]);
        }
    }
}

// Outputs of both twins. The bytes behind them must stay as they are.
typedef struct {
    uint8_t *fast, *reference;
    size_t size;
} output_pair;

static output_pair new_pair(size_t size) {
    output_pair pair = {malloc(size + CANARY), malloc(size + CANARY), size};
    memset(pair.fast, 0xA5, size + CANARY);
    memset(pair.reference, 0xA5, size + CANARY);
    return pair;
}

static void check(const char *what, const char *case_name, output_pair pair) {
    size_t at = 0, size = pair.size + CANARY;
    while (at < size && pair.fast[at] == pair.reference[at]) at++;
    if (at == size) {
        passed++;
    } else {
        if (failed < PRINTED_FAILURES) {
            printf("%s %s: byte %zu of %zu is %02x, reference %02x\n", what, case_name, at,
                   pair.size, pair.fast[at], pair.reference[at]);
        }
        failed++;
    }
    free(pair.fast);
    free(pair.reference);
}

static void check_rounding(const qat_block_format *f, size_t count, size_t block,
                           const char *name) {
    float *x = malloc(count * sizeof *x + 1);
    fill(x, count, block, 1);
    output_pair out = new_pair(count * sizeof *x);
    qat_fake_quantize_f32((float *)out.fast, x, count, block, f);
    qat_fake_quantize_f32_ref((float *)out.reference, x, count, block, f);
    check("fake_quantize", name, out);

    // In place.
    out = new_pair(count * sizeof *x);
    memcpy(out.fast, x, count * sizeof *x);
    qat_fake_quantize_f32((float *)out.fast, (float *)out.fast, count, block, f);
    qat_fake_quantize_f32_ref((float *)out.reference, x, count, block, f);
    check("fake_quantize in place", name, out);

    // Under scales that are none of theirs.
    uint8_t *scales = malloc(count / block + 1);
    for (size_t i = 0; i < count / block; i++) scales[i] = (uint8_t)random_bits();
    out = new_pair(count * sizeof *x);
    qat_fake_quantize_scaled_f32((float *)out.fast, x, scales, count, block, f);
    qat_fake_quantize_scaled_f32_ref((float *)out.reference, x, scales, count, block, f);
    check("fake_quantize_scaled", name, out);

    // At random, under these and under the values' own.
    for (int found = 0; found < 2; found++) {
        uint32_t seed = random_bits();
        size_t first = random_bits();
        out = new_pair(count * sizeof *x);
        qat_fake_quantize_random_f32((float *)out.fast, x, found ? NULL : scales, count, block, f,
                                     seed, first);
        qat_fake_quantize_random_f32_ref((float *)out.reference, x, found ? NULL : scales, count,
                                         block, f, seed, first);
        check("fake_quantize_random", name, out);
    }
    free(scales);

    float step = qat_step_of_scale((uint8_t)random_bits(), f);
    out = new_pair(count * sizeof *x);
    qat_round_values_f32((float *)out.fast, x, count, step, f);
    qat_round_values_f32_ref((float *)out.reference, x, count, step, f);
    check("round_values", name, out);

    out = new_pair(sizeof(float));
    float fast = qat_amax_f32(x, count), reference = qat_amax_f32_ref(x, count);
    memcpy(out.fast, &fast, sizeof fast);
    memcpy(out.reference, &reference, sizeof reference);
    check("amax", name, out);
    free(x);
}

static void check_gradient(const qat_block_format *f, size_t count, size_t block,
                           const char *name) {
    if (f->scales == QAT_SCALES_F32) return;
    float *x = malloc(count * sizeof *x + 1), *gradient = malloc(count * sizeof *x + 1);
    uint8_t *scales = malloc(count / block + 1);
    fill(x, count, block, 0);
    for (size_t i = 0; i < count; i++) gradient[i] = (float)(int32_t)random_bits() * 0x1p-31f;
    for (size_t start = 0; start < count; start += block) {
        // Of their own scale, one off, or anything: values in the middle, at the end, and beyond.
        uint8_t scale = qat_scale_of_amax(qat_amax_f32_ref(x + start, block), f);
        scales[start / block] = start % 3 ? (uint8_t)(scale - start % 2) : (uint8_t)random_bits();
    }
    output_pair out = new_pair(count / block * sizeof *x);
    float *fast = (float *)out.fast, *reference = (float *)out.reference;
    qat_scale_gradient_f32(fast, gradient, x, scales, count, block, 0.125f, f);
    qat_scale_gradient_f32_ref(reference, gradient, x, scales, count, block, 0.125f, f);
    for (size_t i = 0; i < count / block; i++) {
        if (isnan(fast[i]) && isnan(reference[i])) fast[i] = reference[i];
    }
    check("scale_gradient", name, out);
    free(scales);
    free(gradient);
    free(x);
}

// Offsets anywhere within their limits, at them, and 0; what is rounded, and what a step makes of it.
static void check_learned(const qat_block_format *f, size_t count, size_t block,
                          const char *name) {
    float *x = malloc(count * sizeof *x + 1), *gradient = malloc(count * sizeof *x + 1);
    float *steps = malloc(count / block * sizeof *x + 1);
    uint8_t *scales = malloc(count / block + 1);
    fill(x, count, block, 0);
    output_pair offsets = new_pair(count * sizeof *x);
    float *first = (float *)offsets.fast;
    for (size_t i = 0; i < count; i++) {
        uint32_t r = random_bits();
        gradient[i] = r % 7 == 0 ? 0.0f : (float)(int32_t)random_bits() * 0x1p-31f;
        first[i] = r % 5 == 0 ? (float)(int32_t)(r >> 8 & 3) * 0.5f - 0.5f
                              : (float)(int32_t)random_bits() * 0x1p-32f;
        if (first[i] > 0.5f) first[i] = 0.0f;
    }
    memcpy(offsets.reference, offsets.fast, offsets.size);
    for (size_t b = 0; b < count / block; b++) {
        uint8_t scale = qat_scale_of_amax(qat_amax_f32_ref(x + b * block, block), f);
        scales[b] = b % 3 ? (uint8_t)(scale - b % 2) : (uint8_t)random_bits();
        steps[b] = qat_step_of_scale(scale, f);
    }
    output_pair out = new_pair(count * sizeof *x);
    float *fast = (float *)out.fast, *reference = (float *)out.reference;
    qat_fake_quantize_offset_f32(fast, x, first, scales, count, block, f);
    qat_fake_quantize_offset_f32_ref(reference, x, first, scales, count, block, f);
    for (size_t i = 0; i < count; i++) {
        if (isnan(fast[i]) && isnan(reference[i])) fast[i] = reference[i];
    }
    check("fake_quantize_offset", name, out);

    output_pair factors = new_pair(count / block * sizeof *x), bytes = new_pair(count / block);
    for (size_t b = 0; b < count / block; b++) {
        ((float *)factors.fast)[b] = ((float *)factors.reference)[b] =
            0.5f + (float)random_bits() * 0x1p-32f;
        bytes.fast[b] = bytes.reference[b] = scales[b];
    }
    qat_rounding_step rates = {0.005f, 0.25f, 0.5f, 1.5f};
    qat_learn_rounding_f32(first, (float *)factors.fast, bytes.fast, gradient, x, steps, count,
                           block, &rates, f);
    qat_learn_rounding_f32_ref((float *)offsets.reference, (float *)factors.reference,
                               bytes.reference, gradient, x, steps, count, block, &rates, f);
    check("learn_rounding offsets", name, offsets);
    check("learn_rounding factors", name, factors);
    check("learn_rounding scales", name, bytes);
    free(scales);
    free(steps);
    free(gradient);
    free(x);
}

static void check_codes(const qat_block_format *f, size_t count, size_t block, const char *name) {
    float *x = malloc(count * sizeof *x + 1);
    fill(x, count, block, 0);
    output_pair codes = new_pair(count), scales = new_pair(count / block);
    qat_quantize_f32(codes.fast, scales.fast, x, count, block, f);
    qat_quantize_f32_ref(codes.reference, scales.reference, x, count, block, f);
    check("quantize codes", name, codes);
    check("quantize scales", name, scales);

    float step = qat_step_of_scale((uint8_t)random_bits(), f);
    codes = new_pair(count);
    qat_encode_values_f32(codes.fast, x, count, step, f);
    qat_encode_values_f32_ref(codes.reference, x, count, step, f);
    check("encode_values", name, codes);

    uint8_t *stored = malloc(count + 1), *stored_scales = malloc(count / block + 1);
    for (size_t i = 0; i < count; i++) stored[i] = (uint8_t)random_bits();
    for (size_t i = 0; i < count / block; i++) stored_scales[i] = (uint8_t)random_bits();
    output_pair values = new_pair(count * sizeof *x);
    qat_dequantize_f32((float *)values.fast, stored, stored_scales, count, block, f);
    qat_dequantize_f32_ref((float *)values.reference, stored, stored_scales, count, block, f);
    check("dequantize", name, values);
    free(stored);
    free(stored_scales);
    free(x);
}

static void check_search(const qat_block_format *f, size_t block, const char *name) {
    enum { STEPS = 256 };
    float *x = malloc(block * sizeof *x), *importance = malloc(block * sizeof *x), steps[STEPS];
    fill(x, block, block, 0);
    for (size_t i = 0; i < block; i++) importance[i] = (float)random_bits() * 0x1p-32f;
    for (int i = 0; i < STEPS; i++) steps[i] = qat_step_of_scale((uint8_t)i, f);
    for (int weighted = 0; weighted < 2; weighted++) {
        const float *weights = weighted ? importance : NULL;
        output_pair errors = new_pair(STEPS * sizeof(double));
        double *fast = (double *)errors.fast, *reference = (double *)errors.reference;
        qat_measure_steps_f32(fast, steps, STEPS, x, block, weights, f);
        qat_measure_steps_f32_ref(reference, steps, STEPS, x, block, weights, f);
        // Which NaN a sum of NaNs is depends on the order of operands, which compilers choose.
        for (int i = 0; i < STEPS; i++) {
            if (isnan(fast[i]) && isnan(reference[i])) fast[i] = reference[i];
        }
        check("measure_steps", name, errors);
    }
    free(x);
    free(importance);
}

static void check_format(const qat_block_format *f, const char *format_name) {
    static const size_t blocks[] = {1, 3, 8, 9, 16, 24, 31, 32, 33, 576};
    for (size_t b = 0; b < sizeof blocks / sizeof blocks[0]; b++) {
        size_t block = blocks[b];
        const size_t counts[] = {0, block, 3 * block, 17 * block < MAX_COUNT ? 17 * block : block};
        for (int c = 0; c < 4; c++) {
            char name[128];
            snprintf(name, sizeof name, "%s, %zu by %zu", format_name, counts[c], block);
            check_rounding(f, counts[c], block, name);
            check_codes(f, counts[c], block, name);
            check_gradient(f, counts[c], block, name);
            check_learned(f, counts[c], block, name);
        }
        if (block <= 33) check_search(f, block, format_name);
    }
}

static void check_formats(void) {
    static const float globals[] = {1.0f, 0x1.2p-7f, 0.0f, 3e-42f, 2e38f, 0x1p-30f, INFINITY, NAN};
    char name[128];
    for (int e = 0; e < ELEMENTS; e++) {
        for (int tie = QAT_TIE_EVEN; tie <= QAT_TIE_ZERO; tie++) {
            for (int mode = QAT_SCALE_FLOOR; mode <= QAT_SCALE_RCEIL; mode++) {
                qat_block_format f = {elements[e].grid, QAT_SCALES_E8M0, mode, tie, 1.0f};
                snprintf(name, sizeof name, "%s/e8m0/%s/%s", elements[e].name, scale_modes[mode],
                         ties[tie]);
                check_format(&f, name);
            }
            for (int scales = QAT_SCALES_E4M3; scales <= QAT_SCALES_F32; scales++) {
                for (size_t g = 0; g < sizeof globals / sizeof globals[0]; g++) {
                    qat_block_format f = {elements[e].grid, scales, 0, tie, globals[g]};
                    snprintf(name, sizeof name, "%s/%s %g/%s", elements[e].name,
                             scale_kinds[scales], globals[g], ties[tie]);
                    check_format(&f, name);
                }
            }
            // Blocks that choose between two scales, where the element's grid ends in 4, 6.
            for (size_t g = 0; e == 0 && g < sizeof globals / sizeof globals[0]; g++) {
                qat_block_format f = {elements[e].grid, QAT_SCALES_E4M3, QAT_SCALE_FOUR_OVER_SIX,
                                      tie, globals[g]};
                snprintf(name, sizeof name, "%s/four over six %g/%s", elements[e].name, globals[g],
                         ties[tie]);
                check_format(&f, name);
            }
        }
    }
}

// Blocks whose E8M0 bytes run through all there are, 0, 1, 253 and 254 among them, with every code
// of the element and its neighbours in each block.
static void check_every_scale(void) {
    enum { BLOCK = 256, BLOCKS = 255 };
    float *x = malloc(BLOCK * BLOCKS * sizeof *x);
    for (int e = 0; e < ELEMENTS; e++) {
        for (int tie = QAT_TIE_EVEN; tie <= QAT_TIE_ZERO; tie++) {
            qat_block_format f = {elements[e].grid, QAT_SCALES_E8M0, QAT_SCALE_FLOOR, tie, 1.0f};
            char name[64];
            snprintf(name, sizeof name, "%s/%s, every scale", elements[e].name, ties[tie]);
            uint8_t codes[BLOCK], scale;
            for (int i = 0; i < BLOCK; i++) codes[i] = (uint8_t)i;
            for (int byte = 0; byte < BLOCKS; byte++) {
                float *values = x + byte * BLOCK;
                scale = (uint8_t)byte;
                qat_dequantize_f32_ref(values, codes, &scale, BLOCK, BLOCK, &f);
                for (int i = 0; i < BLOCK; i++) {
                    // Halfway to the next code, or a unit off; the block's scale may move with it.
                    float other = values[(i + 1) % BLOCK];
                    if (i % 3 == 1) values[i] = 0.5f * values[i] + 0.5f * other;
                    if (i % 3 == 2) values[i] = nextafterf(values[i], other);
                    if (!isfinite(values[i])) values[i] = 0;
                }
            }
            size_t count = BLOCK * BLOCKS;
            output_pair out = new_pair(count * sizeof *x);
            qat_fake_quantize_f32((float *)out.fast, x, count, BLOCK, &f);
            qat_fake_quantize_f32_ref((float *)out.reference, x, count, BLOCK, &f);
            check("fake_quantize", name, out);
            output_pair all = new_pair(count), scales = new_pair(BLOCKS);
            qat_quantize_f32(all.fast, scales.fast, x, count, BLOCK, &f);
            qat_quantize_f32_ref(all.reference, scales.reference, x, count, BLOCK, &f);
            check("quantize codes", name, all);
            check("quantize scales", name, scales);
        }
    }
    free(x);
}

// Blocks that ask for every E4M3 scale, for every tie between two, and for a unit more and less.
static void check_every_e4m3_scale(void) {
    enum { BLOCK = 16, BLOCKS = 6 * 0x7E };
    float *x = malloc(BLOCK * BLOCKS * sizeof *x);
    for (int e = 0; e < ELEMENTS; e++) {
        qat_block_format f = {elements[e].grid, QAT_SCALES_E4M3, 0, QAT_TIE_EVEN, 1.0f};
        for (int b = 0; b < BLOCKS; b++) {
            float scale = qat_decode_e4m3((uint8_t)(b / 6 + 1));
            float next = qat_decode_e4m3((uint8_t)(b / 6));
            if (b % 2) scale = 0.5f * (scale + next);
            if (b / 2 % 3) scale = nextafterf(scale, b / 2 % 3 == 1 ? 0 : INFINITY);
            for (int i = 0; i < BLOCK; i++) {
                x[b * BLOCK + i] = (float)(i - 8) / 8 * f.element.max_value * scale;
            }
        }
        size_t count = BLOCK * BLOCKS;
        output_pair codes = new_pair(count), scales = new_pair(BLOCKS);
        qat_quantize_f32(codes.fast, scales.fast, x, count, BLOCK, &f);
        qat_quantize_f32_ref(codes.reference, scales.reference, x, count, BLOCK, &f);
        check("quantize codes, every E4M3 scale", elements[e].name, codes);
        check("quantize scales, every E4M3 scale", elements[e].name, scales);
    }
    free(x);
}

typedef void conversion(uint8_t *dst, const uint8_t *src, size_t count);

static void check_conversion(const char *what, conversion *fast, conversion *reference,
                             size_t multiple, size_t in_bits, size_t out_bits) {
    for (size_t count = 0; count <= 300; count += multiple) {
        uint8_t *src = malloc(count * in_bits / 8 + 1);
        for (size_t i = 0; i < count * in_bits / 8; i++) src[i] = (uint8_t)random_bits();
        output_pair out = new_pair(count * out_bits / 8);
        fast(out.fast, src, count);
        reference(out.reference, src, count);
        char name[32];
        snprintf(name, sizeof name, "%zu codes", count);
        check(what, name, out);
        free(src);
    }
}

// What is packed and unpacked is what it was.
static void check_round_trip(void) {
    for (size_t count = 0; count <= 300; count += 4) {
        uint8_t packed[300];
        output_pair nibbles = new_pair(count), sextets = new_pair(count);
        for (size_t i = 0; i < count; i++) {
            nibbles.reference[i] = random_bits() & 15;
            sextets.reference[i] = random_bits() & 63;
        }
        qat_pack_nibbles(packed, nibbles.reference, count);
        qat_unpack_nibbles(nibbles.fast, packed, count);
        check("nibbles there and back", "", nibbles);
        qat_pack_sextets(packed, sextets.reference, count);
        qat_unpack_sextets(sextets.fast, packed, count);
        check("sextets there and back", "", sextets);
    }
}

int main(int argc, char **argv) {
    uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 20261124;
    state = seed;
    const char *twin = QAT_HAS_NEON ? "neon" : qat_uses_avx2() ? "avx2" : NULL;
    if (!twin) {
        printf("this machine has neither AVX2 nor NEON: there is nothing to compare\n");
        return 1;
    }
    check_formats();
    check_every_scale();
    check_every_e4m3_scale();
    check_conversion("pack_nibbles", qat_pack_nibbles, qat_pack_nibbles_ref, 2, 8, 4);
    check_conversion("unpack_nibbles", qat_unpack_nibbles, qat_unpack_nibbles_ref, 2, 4, 8);
    check_conversion("pack_sextets", qat_pack_sextets, qat_pack_sextets_ref, 4, 8, 6);
    check_conversion("unpack_sextets", qat_unpack_sextets, qat_unpack_sextets_ref, 4, 6, 8);
    check_round_trip();
    printf("%s, seed %" PRIu64 ": %ld passed, %ld failed\n", twin, seed, passed, failed);
    return failed > 0;
}
