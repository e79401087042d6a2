// Reference kernels of the block-scaled formats: the specification the fast twins are tested
// against.
#include "quantize_scalar.h"

static const qat_element e4m3 = {3, -6, 8, 448.0f, 8, 0};

uint8_t qat_scale_e8m0(float amax, const qat_element *element, int scale_mode) {
    if (!(amax <= 3.402823466e38f)) return 255;
    if (amax == 0) return 0;
    int exponent;
    switch (scale_mode) {
        case QAT_SCALE_EVEN:
        case QAT_SCALE_EVEN_CT: {
            int bits = scale_mode == QAT_SCALE_EVEN ? element->mantissa_bits : 1;
            uint32_t rounded = qat_float_bits(amax) + (UINT32_C(1) << (23 - bits - 1));
            float power = qat_float_from_bits(rounded & UINT32_C(0xFF800000));
            exponent = (power == 0 ? qat_exponent(amax)
                        : isinf(power) ? 128
                                       : qat_exponent(power)) - element->emax;
            break;
        }
        case QAT_SCALE_CEIL:
            exponent = qat_exponent(amax) - element->emax;
            exponent += amax != qat_power_of_two(exponent + element->emax);
            break;
        case QAT_SCALE_RCEIL: {
            float ratio = amax * (1.0f / element->max_value);
            if (ratio == 0) return 0;
            exponent = qat_exponent(ratio);
            exponent += ratio != qat_power_of_two(exponent);
            break;
        }
        default:
            exponent = qat_exponent(amax) - element->emax;
            break;
    }
    if (exponent < -127) exponent = -127;
    // Above, the largest element times the scale would be infinite.
    if (exponent > 127 - element->emax) exponent = 127 - element->emax;
    return (uint8_t)(exponent + 127);
}

float qat_decode_e8m0(uint8_t byte) {
    return byte == 255 ? NAN : qat_power_of_two((int)byte - 127);
}

uint8_t qat_encode_e4m3(float value) {
    if (isnan(value)) return 0x7F;
    uint8_t sign = signbit(value) ? 0x80 : 0;
    return sign | qat_magnitude_code(qat_round_magnitude(fabsf(value), &e4m3, QAT_TIE_EVEN), &e4m3);
}

float qat_decode_e4m3(uint8_t byte) {
    if ((byte & 0x7F) == 0x7F) return NAN;
    float magnitude = qat_code_magnitude(byte & 0x7F, &e4m3);
    return byte & 0x80 ? -magnitude : magnitude;
}

float qat_amax_f32_ref(const float *src, size_t count) {
    float amax = 0;
    for (size_t i = 0; i < count; i++) {
        float a = fabsf(src[i]);
        if (isnan(a)) return NAN;
        if (a > amax) amax = a;
    }
    return amax;
}

uint8_t qat_scale_of_amax(float amax, const qat_block_format *format) {
    if (format->scales == QAT_SCALES_E8M0) {
        return qat_scale_e8m0(amax, &format->element, format->scale_mode);
    }
    if (format->scales == QAT_SCALES_F32) return 0;
    float global = format->global_scale;
    float scale = global > 0 ? (amax / format->element.max_value) / global : 0;
    if (!(scale >= 0x1p-9f)) scale = 0x1p-9f;
    if (scale > 448.0f) scale = 448.0f;
    return qat_encode_e4m3(scale);
}

uint8_t qat_scale_of_block_f32_ref(const float *block, size_t count, float amax,
                                   const qat_block_format *format) {
    uint8_t six = qat_scale_of_amax(amax, format);
    if (!qat_picks_four_or_six(amax, format)) return six;
    uint8_t four = qat_scale_of_four(amax, format);
    if (four == six) return six;
    float steps[2] = {qat_step_of_scale(six, format), qat_step_of_scale(four, format)};
    double errors[2];
    qat_measure_steps_f32_ref(errors, steps, 2, block, count, NULL, format);
    return errors[1] < errors[0] ? four : six;
}

float qat_step_of_scale(uint8_t scale, const qat_block_format *format) {
    switch (format->scales) {
        case QAT_SCALES_E8M0: return qat_decode_e8m0(scale);
        case QAT_SCALES_E4M3: return qat_decode_e4m3(scale) * format->global_scale;
        default: return format->global_scale;
    }
}

void qat_round_values_f32_ref(float *dst, const float *src, size_t count, float step,
                              const qat_block_format *format) {
    for (size_t i = 0; i < count; i++) {
        dst[i] = qat_round_value(src[i], step, &format->element, format->tie);
    }
}

void qat_encode_values_f32_ref(uint8_t *codes, const float *src, size_t count, float step,
                               const qat_block_format *format) {
    for (size_t i = 0; i < count; i++) {
        codes[i] = qat_encode_value(src[i], step, &format->element, format->tie);
    }
}

void qat_fake_quantize_f32_ref(float *dst, const float *src, size_t count, size_t block,
                               const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        float amax = qat_amax_f32_ref(src + start, block);
        uint8_t scale = qat_scale_of_block_f32_ref(src + start, block, amax, format);
        float step = qat_step_of_scale(scale, format);
        if (!(amax <= 3.402823466e38f) || !(step <= 3.402823466e38f)) {
            for (size_t i = start; i < start + block; i++) dst[i] = NAN;
        } else {
            qat_round_values_f32_ref(dst + start, src + start, block, step, format);
        }
    }
}

void qat_fake_quantize_scaled_f32_ref(float *dst, const float *src, const uint8_t *scales,
                                      size_t count, size_t block, const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float amax = qat_amax_f32_ref(src + start, block);
        float step = qat_step_of_scale(scale, format);
        if (!(amax <= 3.402823466e38f) || !(step <= 3.402823466e38f)) {
            for (size_t i = start; i < start + block; i++) dst[i] = NAN;
        } else {
            qat_round_values_f32_ref(dst + start, src + start, block, step, format);
        }
    }
}

void qat_fake_quantize_random_f32_ref(float *dst, const float *src, const uint8_t *scales,
                                      size_t count, size_t block, const qat_block_format *format,
                                      uint32_t seed, size_t first) {
    uint32_t offset = qat_rounding_offset(seed, first);
    for (size_t start = 0; start + block <= count; start += block) {
        float amax = qat_amax_f32_ref(src + start, block);
        uint8_t scale = 0;
        if (!scales) {
            scale = qat_scale_of_block_f32_ref(src + start, block, amax, format);
        } else if (format->scales != QAT_SCALES_F32) {
            scale = scales[start / block];
        }
        float step = qat_step_of_scale(scale, format);
        int is_finite = amax <= 3.402823466e38f && step <= 3.402823466e38f;
        for (size_t i = start; i < start + block; i++) {
            uint32_t random = qat_scramble(offset + (uint32_t)i);
            dst[i] = is_finite ? qat_round_value_random(src[i], step, &format->element, random) : NAN;
        }
    }
}

void qat_scale_gradient_f32_ref(float *gradient, const float *rounded_gradient, const float *src,
                                const uint8_t *scales, size_t count, size_t block, float factor,
                                const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        float step = qat_step_of_scale(scales[start / block], format);
        double parts[8] = {0};
        for (size_t i = 0; i < block; i++) {
            float slope = qat_scale_slope(src[start + i], step, &format->element, format->tie);
            parts[i % 8] += (double)rounded_gradient[start + i] * (double)slope;
        }
        gradient[start / block] = (float)qat_sum_of_eight(parts) * factor;
    }
}

void qat_encode_steps_f32(uint8_t *scales, float *steps, size_t count,
                          const qat_block_format *format) {
    int is_two_level = format->scales == QAT_SCALES_E4M3;
    int lowest = is_two_level ? 1 : 0, highest = is_two_level ? 0x7E : 254 - format->element.emax;
    float least = qat_step_of_scale((uint8_t)lowest, format);
    float largest = qat_step_of_scale((uint8_t)highest, format);
    for (size_t i = 0; i < count; i++) {
        if (!(steps[i] >= least)) steps[i] = least;
        if (steps[i] > largest) steps[i] = largest;
        if (is_two_level) {
            scales[i] = qat_e4m3_of_ratio(steps[i] / format->global_scale);
        } else {
            // A carry into the exponent from halfway on; the byte 0 is the one subnormal.
            uint32_t bits = qat_float_bits(steps[i]);
            scales[i] = bits < UINT32_C(0x600000) ? 0 : (uint8_t)((bits + UINT32_C(0x400000)) >> 23);
        }
    }
}

void qat_mask_saturated_f32(float *gradient, const float *src, size_t count, size_t block,
                            const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        float amax = qat_amax_f32(src + start, block);
        uint8_t scale = qat_scale_of_block_f32(src + start, block, amax, format);
        float limit = format->element.max_value * qat_step_of_scale(scale, format);
        for (size_t i = start; i < start + block; i++) {
            if (fabsf(src[i]) > limit) gradient[i] = 0;
        }
    }
}

void qat_mask_saturated_scaled_f32(float *gradient, const float *src, const uint8_t *scales,
                                   size_t count, size_t block, const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float limit = format->element.max_value * qat_step_of_scale(scale, format);
        for (size_t i = start; i < start + block; i++) {
            if (fabsf(src[i]) > limit) gradient[i] = 0;
        }
    }
}

void qat_quantize_f32_ref(uint8_t *codes, uint8_t *scales, const float *src, size_t count,
                          size_t block, const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        float amax = qat_amax_f32_ref(src + start, block);
        uint8_t scale = qat_scale_of_block_f32_ref(src + start, block, amax, format);
        float step = qat_step_of_scale(scale, format);
        if (format->scales != QAT_SCALES_F32) scales[start / block] = scale;
        qat_encode_values_f32_ref(codes + start, src + start, block, step, format);
    }
}

void qat_dequantize_f32_ref(float *dst, const uint8_t *codes, const uint8_t *scales, size_t count,
                            size_t block, const qat_block_format *format) {
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = qat_step_of_scale(scale, format);
        for (size_t i = start; i < start + block; i++) {
            dst[i] = qat_code_value(codes[i], &format->element) * step;
        }
    }
}
