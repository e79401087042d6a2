// Reference kernels of learned rounding: the specification the fast twins are tested against.
#include "learned_rounding.h"

void qat_fake_quantize_offset_f32_ref(float *dst, const float *src, const float *offsets,
                                      const uint8_t *scales, size_t count, size_t block,
                                      const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = qat_step_of_scale(scale, format);
        for (size_t i = start; i < start + block; i++) {
            dst[i] = qat_round_value_offset(src[i], step, offsets[i], &format->element,
                                            format->tie);
        }
    }
}

void qat_learn_rounding_f32_ref(float *offsets, float *factors, uint8_t *scales,
                                const float *gradient, const float *src, const float *steps,
                                size_t count, size_t block, const qat_rounding_step *rates,
                                const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = qat_step_of_scale(scale, format);
        double parts[8] = {0};
        for (size_t i = 0; i < block; i++) {
            parts[i % 8] += qat_learn_offset(offsets + start + i, src[start + i],
                                             gradient[start + i], step, rates->offset_rate,
                                             &format->element, format->tie);
        }
        if (factors && format->scales != QAT_SCALES_F32) {
            size_t at = start / block;
            scales[at] = qat_learn_factor(factors + at, steps[at], qat_sum_of_eight(parts), rates,
                                          format);
        }
    }
}
