// What the optimizer's reference kernels and their AVX2 twins share; not part of the public interface.
#pragma once
#include "qat_optimizer.h"
#include "random_bits.h"

// Of a block's largest magnitude: its scale is not below what has an inverse.
static inline float qat_moment_scale(float top) {
    const float least = 1e-30f;
    return (top > least ? top : least) / 1.875f;
}

static inline size_t qat_block_length(size_t begin, size_t count) {
    return count - begin < QAT_MOMENT_BLOCK ? count - begin : QAT_MOMENT_BLOCK;
}

// x >= 0 in units of the scale, below 2; `bias` is how far the exponent's field is below FP32's, `unit`
// the inverse of what code 1 is worth.
static inline uint32_t qat_encode_magnitude(float x, uint32_t random, uint32_t bias, float unit) {
    uint32_t cut = random << 4;
    uint32_t code = x < 8.0f / unit ? (uint32_t)(x * unit + (float)cut * 0x1p-20f)
                                    : ((qat_float_bits(x) + cut) >> 20) - (bias << 3);
    return code;
}

static inline float qat_decode_magnitude(uint32_t code, uint32_t bias, float unit) {
    return code < 8 ? (float)code / unit : qat_float_from_bits((code << 20) + (bias << 23));
}

// Where the random bits of a step's moments begin.
static inline uint32_t qat_moment_offset(uint32_t seed, size_t first) {
    return qat_scramble(seed) + (uint32_t)first;
}

#define QAT_FIRST_BIAS 112u
#define QAT_FIRST_UNIT 0x1p17f
#define QAT_SECOND_BIAS 96u
#define QAT_SECOND_UNIT 0x1p33f

static inline uint8_t qat_encode_first(float x, float inverse, uint32_t random) {
    float y = x * inverse;
    uint32_t bits = qat_float_bits(y), sign = bits >> 31;
    float magnitude = qat_float_from_bits(bits & 0x7FFFFFFF);
    uint32_t code = qat_encode_magnitude(magnitude, random, QAT_FIRST_BIAS, QAT_FIRST_UNIT);
    return (uint8_t)((code < 127 ? code : 127) | sign << 7);
}

static inline float qat_decode_first(uint8_t code, float scale) {
    float x = qat_decode_magnitude(code & 127, QAT_FIRST_BIAS, QAT_FIRST_UNIT);
    return (code & 128 ? -x : x) * scale;
}

static inline uint8_t qat_encode_second(float x, float inverse, uint32_t random) {
    uint32_t code = qat_encode_magnitude(x * inverse, random, QAT_SECOND_BIAS, QAT_SECOND_UNIT);
    uint32_t least = x > 0;
    code = code > least ? code : least;
    return (uint8_t)(code < 255 ? code : 255);
}

static inline float qat_decode_second(uint8_t code, float scale) {
    return qat_decode_magnitude(code, QAT_SECOND_BIAS, QAT_SECOND_UNIT) * scale;
}
