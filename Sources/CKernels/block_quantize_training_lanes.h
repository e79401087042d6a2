// What training alone asks of the block quantization twins: rounding at random, and the gradients of
// blocks' steps. Included by block_quantize_lanes.h, whose pieces it uses.
#pragma once

typedef uint32_t lanes_u32 __attribute__((vector_size(4 * LANES)));

LANES_INLINE lanes_u32 scramble_lanes(lanes_u32 x) {
    x = (x ^ x >> 16) * UINT32_C(0x7feb352d);
    x = (x ^ x >> 15) * UINT32_C(0x846ca68b);
    return x ^ x >> 16;
}

// qat_round_value_random, of which `a` is at most the largest magnitude.
LANES_INLINE lanes_f32 round_random_lanes(lanes_f32 a, lanes_u32 random, const lanes_grid *grid) {
    lanes_i32 exponent = larger_i32((lanes_i32)a & set_i32(EXPONENT_MASK), grid->least_exponent);
    lanes_i32 unit = exponent + grid->to_step;
    lanes_i32 inverse = set_i32(254 << MANTISSA_BITS) - unit;
    lanes_f32 q = a * (lanes_f32)inverse;  // exact: a power of two
    lanes_f32 lower = convert_f32(__builtin_convertvector(q, lanes_i32));
    lanes_f32 drawn = convert_f32((lanes_i32)(random >> 8)) * set_f32(0x1p-24f);
    lanes_i32 up = (drawn < (q - lower)) & (lanes_i32)set_f32(1.0f);
    return (lower + (lanes_f32)up) * (lanes_f32)unit;
}

LANES_INLINE void round_random(float *dst, const float *src, size_t count, float step,
                               uint32_t offset, const lanes_grid *grid,
                               const qat_element *element) {
    const lanes_i32 sign_mask = (lanes_i32)set_f32(-0.0f);
    const lanes_f32 zero = set_f32(element->is_int ? 0.0f : -0.0f);
    const lanes_f32 steps = set_f32(step);
    uint32_t places[LANES];
    for (uint32_t k = 0; k < LANES; k++) places[k] = offset + k;
    lanes_u32 place;
    memcpy(&place, places, sizeof place);
    size_t i = 0;
    for (; is_usable(step) && i + LANES <= count; i += LANES) {
        lanes_f32 x = load_f32(src + i);
        lanes_f32 a = scale_lanes(x, steps, 0, grid);
        lanes_f32 rounded = round_random_lanes(a, scramble_lanes(place + (uint32_t)i), grid);
        lanes_i32 magnitude = (lanes_i32)(rounded * steps);
        store_f32(dst + i, (lanes_f32)(magnitude | ((lanes_i32)x & sign_mask)) + zero);
    }
    for (; i < count; i++) {
        uint32_t random = qat_scramble(offset + (uint32_t)i);
        dst[i] = qat_round_value_random(src[i], step, element, random);
    }
}

LANES_INLINE void round_random_blocks(float *dst, const float *src, const uint8_t *scales,
                                      size_t count, size_t block, const qat_block_format *format,
                                      uint32_t offset, int tie) {
    const lanes_grid grid = grid_of(&format->element);
    const scale_rule rule = rule_of(format);
    for (size_t start = 0; start + block <= count; start += block) {
        int32_t bits = amax_bits(src + start, block);
        uint8_t scale = 0;
        if (!scales) {
            float amax = qat_float_from_bits((uint32_t)bits);
            scale = fast_scale(amax, &rule, format);
            scale = four_or_six(scale, src + start, block, amax, &grid, format, tie);
        } else if (format->scales != QAT_SCALES_F32) {
            scale = scales[start / block];
        }
        float step = fast_step(scale, format);
        if (bits >= EXPONENT_MASK || !(step <= 3.402823466e38f)) {
            for (size_t i = start; i < start + block; i++) dst[i] = NAN;
        } else {
            round_random(dst + start, src + start, block, step, offset + (uint32_t)start, &grid,
                         &format->element);
        }
    }
}

LANES_TARGET void LANES_NAME(qat_fake_quantize_random_f32)(float *dst, const float *src,
                                                           const uint8_t *scales, size_t count,
                                                           size_t block,
                                                           const qat_block_format *format,
                                                           uint32_t seed, size_t first) {
    const uint32_t offset = qat_rounding_offset(seed, first);
#define ROUND_RANDOM(tie) \
    round_random_blocks(dst, src, scales, count, block, format, offset, tie)
    LANES_FOR_EACH_TIE(format->tie, ROUND_RANDOM)
#undef ROUND_RANDOM
}

LANES_INLINE void scale_gradients(float *gradient, const float *rounded_gradient,
                                  const float *src, const uint8_t *scales, size_t count,
                                  size_t block, float factor, const qat_block_format *format,
                                  int tie) {
    const lanes_grid grid = grid_of(&format->element);
    const lanes_i32 sign_mask = (lanes_i32)set_f32(-0.0f);
    const lanes_i32 largest = (lanes_i32)grid.largest;
    for (size_t start = 0; start + block <= count; start += block) {
        float step = fast_step(scales[start / block], format);
        if (!is_usable(step)) {
            qat_scale_gradient_f32_ref(gradient + start / block, rounded_gradient + start,
                                       src + start, scales + start / block, block, block, factor,
                                       format);
            continue;
        }
        lanes_f64 sums[VECTORS] = {0};
        size_t i = 0;
        for (; i + SUMS <= block; i += SUMS) {
            for (size_t k = 0; k < VECTORS; k++) {
                size_t at = start + i + k * LANES;
                lanes_f32 x = load_f32(src + at);
                lanes_f32 a = scale_lanes(x, set_f32(step), 0, &grid);
                lanes_i32 rest = (lanes_i32)(round_lanes(a, &grid, tie).value - a);
                lanes_i32 is_full = a >= grid.largest;
                rest = (rest & ~is_full) | (largest & is_full);
                lanes_f32 slope = (lanes_f32)(rest ^ ((lanes_i32)x & sign_mask));
                lanes_f64 product =
                    widen_f64(load_f32(rounded_gradient + at)) * widen_f64(slope);
                sums[k] = sums[k] + product;
            }
        }
        double parts[SUMS];
        memcpy(parts, sums, sizeof parts);
        for (size_t k = 0; i < block; i++, k++) {
            float slope = qat_scale_slope(src[start + i], step, &format->element, tie);
            parts[k] += (double)rounded_gradient[start + i] * (double)slope;
        }
        gradient[start / block] = (float)qat_sum_of_eight(parts) * factor;
    }
}

LANES_TARGET void LANES_NAME(qat_scale_gradient_f32)(float *gradient,
                                                     const float *rounded_gradient,
                                                     const float *src, const uint8_t *scales,
                                                     size_t count, size_t block, float factor,
                                                     const qat_block_format *format) {
#define GRADIENTS(tie) \
    scale_gradients(gradient, rounded_gradient, src, scales, count, block, factor, format, tie)
    LANES_FOR_EACH_TIE(format->tie, GRADIENTS)
#undef GRADIENTS
}
