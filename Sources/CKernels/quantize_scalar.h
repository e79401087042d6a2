// Scalar pieces shared by the quantization kernels; not part of the public interface.
#pragma once
#include <math.h>
#include "qat_ptq.h"
#include "quantize_twins.h"
#include "random_bits.h"

#if defined(__clang__)
// A product and a sum that the reference rounds apart must not become one fused operation, which
// the instruction set of arm64 and the target of the AVX2 twins would allow. GCC has a flag for it:
// -ffp-contract=off.
#pragma STDC FP_CONTRACT OFF
#endif

// 2^exponent for -149 <= exponent <= 127, subnormals included.
static inline float qat_power_of_two(int exponent) {
    return exponent >= -126 ? qat_float_from_bits((uint32_t)(exponent + 127) << 23)
                            : qat_float_from_bits(UINT32_C(1) << (exponent + 149));
}

// floor(log2 x) of a finite x > 0.
static inline int qat_exponent(float x) {
    uint32_t bits = qat_float_bits(x);
    int biased = (int)(bits >> 23);
    return biased > 0 ? biased - 127 : 31 - __builtin_clz(bits) - 149;
}

// Rounds a magnitude >= 0 (already divided by its scale) to the element's grid.
static inline float qat_round_magnitude(float a, const qat_element *e, int tie) {
    if (a >= e->max_value) return e->max_value;
    int exponent = a > 0 ? qat_exponent(a) : e->min_exponent;
    if (exponent < e->min_exponent) exponent = e->min_exponent;
    float step = qat_power_of_two(exponent - e->mantissa_bits);
    float q = a / step;  // exact: a power of two
    float lower = floorf(q);
    float rest = q - lower;
    int up;
    switch (tie) {
        case QAT_TIE_AWAY: up = rest >= 0.5f; break;
        case QAT_TIE_ZERO: up = rest > 0.5f; break;
        default: up = rest > 0.5f || (rest == 0.5f && fmodf(lower, 2.0f) != 0.0f); break;
    }
    float rounded = (lower + (float)up) * step;
    return rounded > e->max_value ? e->max_value : rounded;
}

// Code of a magnitude on the grid, without its sign.
static inline uint8_t qat_magnitude_code(float a, const qat_element *e) {
    if (a <= 0) return 0;
    if (e->is_int) return (uint8_t)(a * qat_power_of_two(e->mantissa_bits));
    int exponent = qat_exponent(a);
    if (exponent < e->min_exponent) {
        return (uint8_t)(a / qat_power_of_two(e->min_exponent - e->mantissa_bits));
    }
    int mantissa = (int)(a / qat_power_of_two(exponent - e->mantissa_bits)) -
                   (1 << e->mantissa_bits);
    return (uint8_t)(((exponent - e->min_exponent + 1) << e->mantissa_bits) + mantissa);
}

static inline float qat_code_magnitude(uint8_t code, const qat_element *e) {
    int exponent = code >> e->mantissa_bits;
    int mantissa = code & ((1 << e->mantissa_bits) - 1);
    if (e->is_int || exponent == 0) {
        int value = e->is_int ? code : mantissa;
        return (float)value * qat_power_of_two(e->min_exponent - e->mantissa_bits);
    }
    return (float)(mantissa + (1 << e->mantissa_bits)) *
           qat_power_of_two(e->min_exponent + exponent - 1 - e->mantissa_bits);
}

// A code of a magnitude on the grid, with the sign of x.
static inline uint8_t qat_signed_code(float magnitude, float x, const qat_element *e) {
    uint8_t code = qat_magnitude_code(magnitude, e);
    if ((qat_float_bits(x) >> 31) == 0) return code;
    return e->is_int ? (uint8_t)(-(int)code) : (uint8_t)(code | (1u << (e->bits - 1)));
}

// x to the nearest multiple of step that the element holds; step is finite.
static inline float qat_round_value(float x, float step, const qat_element *e, int tie) {
    float a = step > 0 ? fabsf(x) / step : 0;
    float magnitude = qat_round_magnitude(a, e, tie) * step;
    // Two's complement has one zero: adding +0 makes -0 that zero, adding -0 keeps it.
    return copysignf(magnitude, x) + (e->is_int ? 0.0f : -0.0f);
}

// The code of x under a step; 0 with the sign of x where the step is not positive.
static inline uint8_t qat_encode_value(float x, float step, const qat_element *e, int tie) {
    float a = step > 0 ? fabsf(x) / step : 0;
    return qat_signed_code(qat_round_magnitude(a, e, tie), x, e);
}

// What a code counts, in steps.
static inline float qat_code_value(uint8_t code, const qat_element *e) {
    if (e->is_int) return (float)(int8_t)code * qat_power_of_two(-e->mantissa_bits);
    uint8_t sign = (uint8_t)(1u << (e->bits - 1));
    float magnitude = qat_code_magnitude((uint8_t)(code & (sign - 1)), e);
    return code & sign ? -magnitude : magnitude;
}

// E4M3 of a scale clamped to 2^-9 ... 448, ties to even.
static inline uint8_t qat_e4m3_of_ratio(float scale) {
    if (!(scale >= 0x1p-9f)) return 1;
    if (scale > 448.0f) return 0x7E;
    if (scale < 0x1p-6f) {
        // The last bit of 1.5 * 2^14 counts 2^-9.
        return (uint8_t)(qat_float_bits(scale + 0x1.8p14f) & 15);
    }
    uint32_t bits = qat_float_bits(scale) - (UINT32_C(120) << 23);
    return (uint8_t)((bits + 0x7FFFF + (bits >> 20 & 1)) >> 20);
}

// Where the random numbers of a step's rounding begin; moments of the same seed begin elsewhere.
static inline uint32_t qat_rounding_offset(uint32_t seed, size_t first) {
    return qat_scramble(seed ^ UINT32_C(0x5bd1e995)) + (uint32_t)first;
}

// x to one of the two multiples of step around it, up if the share that is left exceeds `random` / 2^32,
// of which 24 bits count.
static inline float qat_round_value_random(float x, float step, const qat_element *e,
                                           uint32_t random) {
    float a = step > 0 ? fabsf(x) / step : 0;
    if (a > e->max_value) a = e->max_value;
    int exponent = a > 0 ? qat_exponent(a) : e->min_exponent;
    if (exponent < e->min_exponent) exponent = e->min_exponent;
    float unit = qat_power_of_two(exponent - e->mantissa_bits);
    float q = a / unit, lower = floorf(q);  // exact: a power of two
    float up = (float)(random >> 8) * 0x1p-24f < q - lower ? 1.0f : 0.0f;
    float magnitude = (lower + up) * unit * step;
    return copysignf(magnitude, x) + (e->is_int ? 0.0f : -0.0f);
}

// d(round(x / step) * step) / d(step), straight through the rounding.
static inline float qat_scale_slope(float x, float step, const qat_element *e, int tie) {
    float a = step > 0 ? fabsf(x) / step : 0;
    float slope = a >= e->max_value ? e->max_value : qat_round_magnitude(a, e, tie) - a;
    return qat_float_bits(x) >> 31 ? -slope : slope;
}

static inline int qat_picks_four_or_six(float amax, const qat_block_format *format) {
    return format->scales == QAT_SCALES_E4M3 && format->scale_mode == QAT_SCALE_FOUR_OVER_SIX &&
           format->global_scale > 0 && amax > 0 && amax <= 3.402823466e38f;
}

// The E4M3 byte under which amax becomes the element's largest power of two: 4 of E2M1.
static inline uint8_t qat_scale_of_four(float amax, const qat_block_format *format) {
    float largest_power = qat_power_of_two(format->element.emax);
    return qat_e4m3_of_ratio((amax / largest_power) / format->global_scale);
}

// The squared error of rounding x, weighted unless the weight is NULL.
static inline double qat_squared_error(float x, const float *weight, float step,
                                       const qat_element *e, int tie) {
    double error = (double)x - (double)qat_round_value(x, step, e, tie);
    double square = error * error;
    return weight ? square * (double)*weight : square;
}

// Pairs first: a chain of seven additions would hold up short blocks.
static inline double qat_sum_of_eight(const double *parts) {
    double a = parts[0] + parts[4], b = parts[1] + parts[5];
    double c = parts[2] + parts[6], d = parts[3] + parts[7];
    return (a + c) + (b + d);
}
