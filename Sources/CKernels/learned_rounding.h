// Scalar pieces of learned rounding, shared by the reference and the fast twins; not part of the public
// interface.
#pragma once
#include "quantize_scalar.h"

// The magnitude of x, in steps, to one of the two of the grid around it; `offset`, in -0.5 ... 0.5 of the
// grid's own steps there and counted along x, moves the middle between them. Under none, the nearest.
static inline float qat_round_magnitude_offset(float x, float a, float offset,
                                               const qat_element *e, int tie) {
    if (a >= e->max_value) return e->max_value;
    int exponent = a > 0 ? qat_exponent(a) : e->min_exponent;
    if (exponent < e->min_exponent) exponent = e->min_exponent;
    float unit = qat_power_of_two(exponent - e->mantissa_bits);
    float q = a / unit, lower = floorf(q);  // exact: a power of two
    float rest = (q - lower) + (qat_float_bits(x) >> 31 ? -offset : offset);
    int up;
    switch (tie) {
        case QAT_TIE_AWAY: up = rest >= 0.5f; break;
        case QAT_TIE_ZERO: up = rest > 0.5f; break;
        default: up = rest > 0.5f || (rest == 0.5f && fmodf(lower, 2.0f) != 0.0f); break;
    }
    return (lower + (float)up) * unit;
}

// x under its offset; step is finite.
static inline float qat_round_value_offset(float x, float step, float offset,
                                           const qat_element *e, int tie) {
    float a = step > 0 ? fabsf(x) / step : 0;
    float magnitude = qat_round_magnitude_offset(x, a, offset, e, tie) * step;
    return copysignf(magnitude, x) + (e->is_int ? 0.0f : -0.0f);
}

// Takes an offset's step, and gives what the element adds to the gradient of its block's.
static inline double qat_learn_offset(float *offset, float x, float gradient, float step, float rate,
                                      const qat_element *e, int tie) {
    float a = step > 0 ? fabsf(x) / step : 0;
    float slope = e->max_value;
    if (a < e->max_value) {
        slope = qat_round_magnitude_offset(x, a, *offset, e, tie) - a;
        float moved = *offset - rate * (float)((gradient > 0) - (gradient < 0));
        *offset = moved > 0.5f ? 0.5f : moved < -0.5f ? -0.5f : moved;
    }
    return (double)gradient * (double)(qat_float_bits(x) >> 31 ? -slope : slope);
}

// Takes a factor's step, and gives the scale of the step that it makes of `base`.
static inline uint8_t qat_learn_factor(float *factor, float base, double gradient,
                                       const qat_rounding_step *rates,
                                       const qat_block_format *format) {
    float moved = *factor - rates->factor_rate * (float)((gradient > 0) - (gradient < 0));
    if (moved > rates->largest_factor) moved = rates->largest_factor;
    if (moved < rates->least_factor) moved = rates->least_factor;
    *factor = moved;
    float step = moved * base;
    uint8_t scale;
    qat_encode_steps_f32(&scale, &step, 1, format);
    return scale;
}
