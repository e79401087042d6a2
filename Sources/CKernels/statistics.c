// Plain C that the compiler vectorizes: it runs once per tensor, beside rounding it.
#include "qat_statistics.h"
#include "quantize_scalar.h"

void qat_count_scale_use_f32(qat_scale_use *use, const float *values, const uint8_t *scales,
                             size_t count, size_t block, const qat_block_format *format) {
    const qat_element *element = &format->element;
    for (size_t start = 0; start + block <= count; start += block) {
        const float *x = values + start;
        float amax = qat_amax_f32(x, block);
        if (amax == 0) continue;
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = qat_step_of_scale(scale, format);
        float limit = element->max_value * step;
        use->blocks++;
        use->collapsed += qat_round_value(amax, step, element, format->tie) == 0;
        if (amax <= limit) continue;
        uint32_t saturated = 0;
        for (size_t i = 0; i < block; i++) saturated += fabsf(x[i]) > limit;
        use->saturated += saturated;
    }
}
