// Picks the twin of each optimizer kernel at run time.
#include "dispatch.h"
#include "optimizer_avx2.h"

#if QAT_HAS_AVX2
#define PICK(name, ...) (qat_uses_avx2() ? name##_avx2(__VA_ARGS__) : name##_ref(__VA_ARGS__))
#else
#define PICK(name, ...) name##_ref(__VA_ARGS__)
#endif

void qat_adamw_f32(float *w, float *m, float *v, const float *gradient, size_t count,
                   const qat_adamw *step) {
    PICK(qat_adamw_f32, w, m, v, gradient, count, step);
}

void qat_adamw_bf16_f32(float *w, uint16_t *m, uint16_t *v, const float *gradient, size_t count,
                        size_t first, uint32_t seed, const qat_adamw *step) {
    PICK(qat_adamw_bf16_f32, w, m, v, gradient, count, first, seed, step);
}

void qat_lion_f32(float *w, float *m, const float *gradient, size_t count, const qat_lion *step) {
    PICK(qat_lion_f32, w, m, gradient, count, step);
}

void qat_lion_bf16_f32(float *w, uint16_t *m, const float *gradient, size_t count, size_t first,
                       uint32_t seed, const qat_lion *step) {
    PICK(qat_lion_bf16_f32, w, m, gradient, count, first, seed, step);
}

void qat_adamw_u8_f32(float *w, uint8_t *m, float *m_scales, uint8_t *v, float *v_scales,
                      const float *gradient, size_t count, size_t first, uint32_t seed,
                      const qat_adamw *step) {
    PICK(qat_adamw_u8_f32, w, m, m_scales, v, v_scales, gradient, count, first, seed, step);
}

void qat_lion_u8_f32(float *w, uint8_t *m, float *scales, const float *gradient, size_t count,
                     size_t first, uint32_t seed, const qat_lion *step) {
    PICK(qat_lion_u8_f32, w, m, scales, gradient, count, first, seed, step);
}
