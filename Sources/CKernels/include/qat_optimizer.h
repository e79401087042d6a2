// Optimizers beside AdamW with FP32 or BF16 moments (qat_transformer.h): Lion, and moments of one byte.
#pragma once
#include "qat_transformer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    float learning_rate, beta1, beta2, weight_decay;
    float gradient_scale;  // multiplies the gradient first: clipping
} qat_lion;

// Lion (Chen et al. 2023, arXiv:2302.06675, program 2), with AdamW's order of decay:
// w *= 1 - lr * decay; w -= lr * sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g. The sign
// of zero is zero.
void qat_lion_f32(float *w, float *m, const float *gradient, size_t count, const qat_lion *step);
void qat_lion_f32_ref(float *w, float *m, const float *gradient, size_t count,
                      const qat_lion *step);

// The same with a moment kept as BF16, rounded at random as qat_adamw_bf16_f32's are.
void qat_lion_bf16_f32(float *w, uint16_t *m, const float *gradient, size_t count, size_t first,
                       uint32_t seed, const qat_lion *step);
void qat_lion_bf16_f32_ref(float *w, uint16_t *m, const float *gradient, size_t count, size_t first,
                           uint32_t seed, const qat_lion *step);

// Elements that share a scale where a moment takes one byte.
#define QAT_MOMENT_BLOCK 256

// Moments of one byte: a code times the scale of its block of QAT_MOMENT_BLOCK elements, counted from
// the pointers. The first is a sign, four bits of exponent and three of mantissa, the second, which has
// no sign, five and three; exponent 0 goes on evenly to zero below. A block's largest value has the
// largest code. Moments are computed in FP32, used so, and then rounded at random to one of the two
// neighbouring codes, each as often as it is near. A second moment that is not zero never gets code 0:
// below the smallest code, 2^-33 / 1.875 of its block's largest, it is that, and its update is the
// smaller. `first` and `seed` as for BF16.
void qat_adamw_u8_f32(float *w, uint8_t *m, float *m_scales, uint8_t *v, float *v_scales,
                      const float *gradient, size_t count, size_t first, uint32_t seed,
                      const qat_adamw *step);
void qat_adamw_u8_f32_ref(float *w, uint8_t *m, float *m_scales, uint8_t *v, float *v_scales,
                          const float *gradient, size_t count, size_t first, uint32_t seed,
                          const qat_adamw *step);
void qat_lion_u8_f32(float *w, uint8_t *m, float *scales, const float *gradient, size_t count,
                     size_t first, uint32_t seed, const qat_lion *step);
void qat_lion_u8_f32_ref(float *w, uint8_t *m, float *scales, const float *gradient, size_t count,
                         size_t first, uint32_t seed, const qat_lion *step);

// average += share * (x - average).
void qat_average_f32(float *average, const float *x, size_t count, float share);

#ifdef __cplusplus
}
#endif
