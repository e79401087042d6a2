// The optimizers' AVX2 twins; not part of the public interface but visible to dispatch.
#pragma once
#include "qat_optimizer.h"

void qat_adamw_f32_avx2(float *w, float *m, float *v, const float *gradient, size_t count,
                        const qat_adamw *step);
void qat_adamw_bf16_f32_avx2(float *w, uint16_t *m, uint16_t *v, const float *gradient,
                             size_t count, size_t first, uint32_t seed, const qat_adamw *step);
void qat_lion_f32_avx2(float *w, float *m, const float *gradient, size_t count,
                       const qat_lion *step);
void qat_lion_bf16_f32_avx2(float *w, uint16_t *m, const float *gradient, size_t count,
                            size_t first, uint32_t seed, const qat_lion *step);
void qat_adamw_u8_f32_avx2(float *w, uint8_t *m, float *m_scales, uint8_t *v, float *v_scales,
                           const float *gradient, size_t count, size_t first, uint32_t seed,
                           const qat_adamw *step);
void qat_lion_u8_f32_avx2(float *w, uint8_t *m, float *scales, const float *gradient, size_t count,
                          size_t first, uint32_t seed, const qat_lion *step);
