// Learned rounding for the block quantization twins. Included by block_quantize_lanes.h, whose pieces it
// uses.
#pragma once
#include "learned_rounding.h"

// qat_round_magnitude_offset, of which `a` is at most the largest magnitude and `lift` the offset along it.
LANES_INLINE lanes_f32 round_offset_lanes(lanes_f32 a, lanes_f32 lift, const lanes_grid *grid,
                                          int tie) {
    lanes_i32 exponent = larger_i32((lanes_i32)a & set_i32(EXPONENT_MASK), grid->least_exponent);
    lanes_i32 unit = exponent + grid->to_step;
    lanes_i32 inverse = set_i32(254 << MANTISSA_BITS) - unit;
    lanes_f32 q = a * (lanes_f32)inverse;  // exact: a power of two
    lanes_i32 whole = __builtin_convertvector(q, lanes_i32);
    lanes_f32 lower = convert_f32(whole);
    lanes_f32 rest = (q - lower) + lift;
    const lanes_f32 half = set_f32(0.5f);
    lanes_i32 up;
    if (tie == QAT_TIE_AWAY) {
        up = rest >= half;
    } else if (tie == QAT_TIE_ZERO) {
        up = rest > half;
    } else {
        up = (rest > half) | ((rest == half) & ((whole & set_i32(1)) == set_i32(1)));
    }
    up &= a < grid->largest;
    return (lower + (lanes_f32)(up & (lanes_i32)set_f32(1.0f))) * (lanes_f32)unit;
}

LANES_INLINE void round_offset(float *dst, const float *src, const float *offsets, size_t count,
                               float step, const lanes_grid *grid, const qat_element *element,
                               int tie) {
    const lanes_i32 sign_mask = (lanes_i32)set_f32(-0.0f);
    const lanes_f32 zero = set_f32(element->is_int ? 0.0f : -0.0f);
    const lanes_f32 steps = set_f32(step);
    const int has_inverse = has_reciprocal(step);
    const lanes_f32 divisor = has_inverse ? set_f32(reciprocal(step)) : steps;
    size_t i = 0;
    for (; is_usable(step) && i + LANES <= count; i += LANES) {
        lanes_f32 x = load_f32(src + i);
        lanes_i32 sign = (lanes_i32)x & sign_mask;
        lanes_f32 lift = (lanes_f32)((lanes_i32)load_f32(offsets + i) ^ sign);
        lanes_f32 a = scale_lanes(x, divisor, has_inverse, grid);
        lanes_i32 magnitude = (lanes_i32)(round_offset_lanes(a, lift, grid, tie) * steps);
        store_f32(dst + i, (lanes_f32)(magnitude | sign) + zero);
    }
    for (; i < count; i++) {
        dst[i] = qat_round_value_offset(src[i], step, offsets[i], element, tie);
    }
}

LANES_TARGET void LANES_NAME(qat_fake_quantize_offset_f32)(float *dst, const float *src,
                                                           const float *offsets,
                                                           const uint8_t *scales, size_t count,
                                                           size_t block,
                                                           const qat_block_format *format) {
    const lanes_grid grid = grid_of(&format->element);
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = fast_step(scale, format);
#define ROUND_OFFSET(tie)                                                                \
    round_offset(dst + start, src + start, offsets + start, block, step, &grid,          \
                 &format->element, tie)
        LANES_FOR_EACH_TIE(format->tie, ROUND_OFFSET)
#undef ROUND_OFFSET
    }
}

// Steps of a block's offsets, and the gradient of the block's step.
LANES_INLINE double learn_offsets(float *offsets, const float *gradient, const float *src,
                                  size_t block, float step, float rate, const lanes_grid *grid,
                                  const qat_element *element, int tie) {
    const lanes_i32 sign_mask = (lanes_i32)set_f32(-0.0f), largest = (lanes_i32)grid->largest;
    const lanes_f32 zeros = set_f32(0.0f), half = set_f32(0.5f), rates = set_f32(rate);
    const int has_inverse = has_reciprocal(step);
    const lanes_f32 divisor = set_f32(has_inverse ? reciprocal(step) : step);
    lanes_f64 sums[VECTORS] = {0};
    size_t i = 0;
    for (; is_usable(step) && i + SUMS <= block; i += SUMS) {
        for (size_t k = 0; k < VECTORS; k++) {
            size_t at = i + k * LANES;
            lanes_f32 x = load_f32(src + at), v = load_f32(offsets + at);
            lanes_f32 g = load_f32(gradient + at);
            lanes_i32 sign = (lanes_i32)x & sign_mask;
            lanes_f32 a = scale_lanes(x, divisor, has_inverse, grid);
            lanes_f32 lift = (lanes_f32)((lanes_i32)v ^ sign);
            lanes_i32 rest = (lanes_i32)(round_offset_lanes(a, lift, grid, tie) - a);
            lanes_i32 is_full = a >= grid->largest;
            lanes_f32 slope =
                (lanes_f32)(((rest & ~is_full) | (largest & is_full)) ^ sign);
            lanes_f64 product = widen_f64(g) * widen_f64(slope);
            sums[k] = sums[k] + product;
            // Comparisons give -1 where they hold.
            lanes_i32 direction = (lanes_i32)(g < zeros) - (lanes_i32)(g > zeros);
            lanes_f32 moved = v - rates * convert_f32(direction);
            moved = -smaller_f32(half, -smaller_f32(half, moved));
            lanes_i32 kept = ((lanes_i32)v & is_full) | ((lanes_i32)moved & ~is_full);
            store_f32(offsets + at, (lanes_f32)kept);
        }
    }
    double parts[SUMS];
    memcpy(parts, sums, sizeof parts);
    for (size_t k = 0; i < block; i++, k++) {
        parts[k % SUMS] += qat_learn_offset(offsets + i, src[i], gradient[i], step, rate, element,
                                            tie);
    }
    return qat_sum_of_eight(parts);
}

LANES_TARGET void LANES_NAME(qat_learn_rounding_f32)(float *offsets, float *factors,
                                                     uint8_t *scales, const float *gradient,
                                                     const float *src, const float *steps,
                                                     size_t count, size_t block,
                                                     const qat_rounding_step *rates,
                                                     const qat_block_format *format) {
    const lanes_grid grid = grid_of(&format->element);
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = fast_step(scale, format);
        double sum = 0;
#define LEARN(tie)                                                                        \
    sum = learn_offsets(offsets + start, gradient + start, src + start, block, step,      \
                        rates->offset_rate, &grid, &format->element, tie)
        LANES_FOR_EACH_TIE(format->tie, LEARN)
#undef LEARN
        if (factors && format->scales != QAT_SCALES_F32) {
            size_t at = start / block;
            scales[at] = qat_learn_factor(factors + at, steps[at], sum, rates, format);
        }
    }
}
