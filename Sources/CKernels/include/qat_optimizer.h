// The optimizers: AdamW and Lion, with moments of FP32, BF16 or one byte, and an average of weights.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    float learning_rate, beta1, beta2, epsilon, weight_decay;
    float bias_correction1;  // 1 - beta1^step
    float bias_correction2;  // 1 - beta2^step
    float gradient_scale;    // multiplies the gradient first: clipping
} qat_adamw;

// Decoupled weight decay (Loshchilov & Hutter 2019), as PyTorch's AdamW orders it:
// w *= 1 - lr * decay; m, v updated; w -= lr / c1 * m / (sqrt(v) / sqrt(c2) + eps).
void qat_adamw_f32(float *w, float *m, float *v, const float *gradient, size_t count,
                   const qat_adamw *step);
void qat_adamw_f32_ref(float *w, float *m, float *v, const float *gradient, size_t count,
                       const qat_adamw *step);

// The same with moments kept as BF16. They are computed in FP32, used so, and then rounded at random up
// or down, each as often as it is near: what a step adds is lost to no rounding in the mean. The bits
// are drawn from `seed` and an element's place, `first` being that of the first: steps need seeds of
// their own, and the result depends on nothing else.
void qat_adamw_bf16_f32(float *w, uint16_t *m, uint16_t *v, const float *gradient, size_t count,
                        size_t first, uint32_t seed, const qat_adamw *step);
void qat_adamw_bf16_f32_ref(float *w, uint16_t *m, uint16_t *v, const float *gradient, size_t count,
                            size_t first, uint32_t seed, const qat_adamw *step);

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

// What is known of a weight whose code may flip.
enum {
    QAT_FLIP_UNSEEN,    // nothing
    QAT_FLIP_STILL,     // it has not changed since it was first seen
    QAT_FLIP_UP,        // its last change was up
    QAT_FLIP_DOWN,      // its last change was down
    QAT_FLIP_FREEZING,  // it is its mean and about to be frozen
    QAT_FLIP_FROZEN     // it stays what `previous` is
};

typedef struct {
    float momentum, threshold;
} qat_flip_rule;

// Nagel et al. 2022, arXiv:2203.11086, algorithm 1, by rounded values: of each weight that is not frozen,
// flip is 1 if `rounded` changed against the direction of the change before, f = m flip + (1 - m) f and
// mean = m rounded + (1 - m) mean; first seen, the mean is `rounded` and f is 0. Where f > threshold, w
// becomes the mean and is about to be frozen. Frozen weights become what they were frozen to.
void qat_track_flips_f32(float *w, const float *rounded, float *previous, float *mean,
                         float *frequency, uint8_t *state, size_t count,
                         const qat_flip_rule *rule);
// Freezes what is about to be, to `rounded`.
void qat_freeze_flips_f32(float *w, const float *rounded, float *previous, uint8_t *state,
                          size_t count);

// average += share * (x - average).
void qat_average_f32(float *average, const float *x, size_t count, float share);

#ifdef __cplusplus
}
#endif
