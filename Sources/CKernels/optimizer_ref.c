// Reference kernels of the optimizers: the specification the fast twins are compared with.
#include <math.h>
#include "optimizer_parts.h"

void qat_adamw_f32_ref(float *w, float *m, float *v, const float *gradient, size_t count,
                       const qat_adamw *step) {
    float rate = step->learning_rate / step->bias_correction1;
    float root = sqrtf(step->bias_correction2);
    float keep = 1.0f - step->learning_rate * step->weight_decay;
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] * step->gradient_scale;
        m[i] = step->beta1 * m[i] + (1.0f - step->beta1) * g;
        v[i] = step->beta2 * v[i] + (1.0f - step->beta2) * g * g;
        w[i] = w[i] * keep - rate * m[i] / (sqrtf(v[i]) / root + step->epsilon);
    }
}

static float widen(uint16_t bits) { return qat_float_from_bits((uint32_t)bits << 16); }

// Up if the 16 bits that are cut off and 16 random ones make a carry.
static uint16_t narrow(float x, uint32_t random) {
    return (uint16_t)((qat_float_bits(x) + (random & 0xFFFF)) >> 16);
}

void qat_adamw_bf16_f32_ref(float *w, uint16_t *m, uint16_t *v, const float *gradient, size_t count,
                            size_t first, uint32_t seed, const qat_adamw *step) {
    uint32_t offset = qat_moment_offset(seed, first);
    for (size_t i = 0; i < count; i++) {
        float mi = widen(m[i]), vi = widen(v[i]);
        qat_adamw_f32_ref(w + i, &mi, &vi, gradient + i, 1, step);
        uint32_t random = qat_scramble(offset + (uint32_t)i);
        m[i] = narrow(mi, random);
        v[i] = narrow(vi, random >> 16);
    }
}

static float sign(float x) { return (float)((x > 0) - (x < 0)); }

void qat_lion_f32_ref(float *w, float *m, const float *gradient, size_t count,
                      const qat_lion *step) {
    float keep = 1.0f - step->learning_rate * step->weight_decay;
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] * step->gradient_scale;
        float direction = step->beta1 * m[i] + (1.0f - step->beta1) * g;
        w[i] = w[i] * keep - step->learning_rate * sign(direction);
        m[i] = step->beta2 * m[i] + (1.0f - step->beta2) * g;
    }
}

void qat_lion_bf16_f32_ref(float *w, uint16_t *m, const float *gradient, size_t count, size_t first,
                           uint32_t seed, const qat_lion *step) {
    uint32_t offset = qat_moment_offset(seed, first);
    for (size_t i = 0; i < count; i++) {
        float mi = widen(m[i]);
        qat_lion_f32_ref(w + i, &mi, gradient + i, 1, step);
        m[i] = narrow(mi, qat_scramble(offset + (uint32_t)i));
    }
}

static float largest(const float *x, size_t count) {
    float top = 0;
    for (size_t i = 0; i < count; i++) top = fmaxf(top, fabsf(x[i]));
    return top;
}

void qat_adamw_u8_f32_ref(float *w, uint8_t *m, float *m_scales, uint8_t *v, float *v_scales,
                          const float *gradient, size_t count, size_t first, uint32_t seed,
                          const qat_adamw *step) {
    uint32_t offset = qat_moment_offset(seed, first);
    float mf[QAT_MOMENT_BLOCK], vf[QAT_MOMENT_BLOCK];
    for (size_t b = 0; b < count; b += QAT_MOMENT_BLOCK, m_scales++, v_scales++) {
        size_t n = qat_block_length(b, count);
        for (size_t i = 0; i < n; i++) {
            mf[i] = qat_decode_first(m[b + i], *m_scales);
            vf[i] = qat_decode_second(v[b + i], *v_scales);
        }
        qat_adamw_f32_ref(w + b, mf, vf, gradient + b, n, step);
        *m_scales = qat_moment_scale(largest(mf, n));
        *v_scales = qat_moment_scale(largest(vf, n));
        for (size_t i = 0; i < n; i++) {
            uint32_t random = qat_scramble(offset + (uint32_t)(b + i));
            m[b + i] = qat_encode_first(mf[i], 1.0f / *m_scales, random & 0xFFFF);
            v[b + i] = qat_encode_second(vf[i], 1.0f / *v_scales, random >> 16);
        }
    }
}

void qat_lion_u8_f32_ref(float *w, uint8_t *m, float *scales, const float *gradient, size_t count,
                         size_t first, uint32_t seed, const qat_lion *step) {
    uint32_t offset = qat_moment_offset(seed, first);
    float mf[QAT_MOMENT_BLOCK];
    for (size_t b = 0; b < count; b += QAT_MOMENT_BLOCK, scales++) {
        size_t n = qat_block_length(b, count);
        for (size_t i = 0; i < n; i++) mf[i] = qat_decode_first(m[b + i], *scales);
        qat_lion_f32_ref(w + b, mf, gradient + b, n, step);
        *scales = qat_moment_scale(largest(mf, n));
        for (size_t i = 0; i < n; i++) {
            uint32_t random = qat_scramble(offset + (uint32_t)(b + i)) & 0xFFFF;
            m[b + i] = qat_encode_first(mf[i], 1.0f / *scales, random);
        }
    }
}

void qat_average_f32(float *average, const float *x, size_t count, float share) {
    for (size_t i = 0; i < count; i++) average[i] += share * (x[i] - average[i]);
}
