// Picks the twin of each decoder kernel at run time.
#include <string.h>
#include "dispatch.h"
#include "qat_transformer.h"
#include "transformer_avx2.h"

int qat_uses_avx2(void) {
#if QAT_HAS_AVX2
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 0;
#endif
}

// What the twins for it are compiled for; those that multiply BF16 ask for more.
int qat_uses_avx512(void) {
#if QAT_HAS_AVX2
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           qat_uses_avx2();
#else
    return 0;
#endif
}

#if QAT_HAS_AVX2
#define PICK(name, ...) (qat_uses_avx2() ? name##_avx2(__VA_ARGS__) : name##_ref(__VA_ARGS__))
#else
#define PICK(name, ...) name##_ref(__VA_ARGS__)
#endif

void qat_rmsnorm_forward_f32(float *y, float *inv_rms, const float *x, const float *w, size_t R,
                             size_t C, float eps) {
    PICK(qat_rmsnorm_forward_f32, y, inv_rms, x, w, R, C, eps);
}

void qat_rmsnorm_backward_f32(float *dx, float *dw, const float *dy, const float *x,
                              const float *w, const float *inv_rms, size_t R, size_t C) {
    PICK(qat_rmsnorm_backward_f32, dx, dw, dy, x, w, inv_rms, R, C);
}

void qat_softmax_row_f32(float *scores, size_t count, float scale) {
    PICK(qat_softmax_row_f32, scores, count, scale);
}

void qat_softmax_row_gradient_f32(float *gradient, const float *probabilities, size_t count,
                                  float scale) {
    PICK(qat_softmax_row_gradient_f32, gradient, probabilities, count, scale);
}

void qat_activation_forward_f32(qat_activation f, float *out, const float *gate, const float *up,
                                size_t count) {
    PICK(qat_activation_forward_f32, f, out, gate, up, count);
}

void qat_activation_backward_f32(qat_activation f, float *dgate, float *dup, const float *dout,
                                 const float *gate, const float *up, size_t count) {
    PICK(qat_activation_backward_f32, f, dgate, dup, dout, gate, up, count);
}

void qat_softcap_f32(float *x, size_t count, float scale, float cap) {
    PICK(qat_softcap_f32, x, count, scale, cap);
}

void qat_layernorm_forward_f32(float *y, float *stats, const float *x, const float *w,
                               const float *b, size_t R, size_t C, float eps) {
    PICK(qat_layernorm_forward_f32, y, stats, x, w, b, R, C, eps);
}

void qat_layernorm_backward_f32(float *dx, float *dw, float *db, const float *dy, const float *x,
                                const float *w, const float *stats, size_t R, size_t C) {
    PICK(qat_layernorm_backward_f32, dx, dw, db, dy, x, w, stats, R, C);
}

void qat_cross_entropy_f32(float *logits, qat_loss_sum *sum,
                           const int32_t *targets, size_t R, size_t V, float gradient_scale) {
    PICK(qat_cross_entropy_f32, logits, sum, targets, R, V, gradient_scale);
}

void qat_kl_divergence_f32(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                           float temperature, float gradient_scale) {
    PICK(qat_kl_divergence_f32, student, teacher, sum, R, V, temperature, gradient_scale);
}

void qat_reverse_kl_f32(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                        float temperature, float gradient_scale) {
    PICK(qat_reverse_kl_f32, student, teacher, sum, R, V, temperature, gradient_scale);
}

void qat_jensen_shannon_f32(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                            float temperature, float beta, float gradient_scale) {
    PICK(qat_jensen_shannon_f32, student, teacher, sum, R, V, temperature, beta, gradient_scale);
}

void qat_top_outcomes_f32(float *logits, int32_t *ids, float *log_probabilities, size_t R, size_t V,
                          size_t k, float temperature) {
    PICK(qat_top_outcomes_f32, logits, ids, log_probabilities, R, V, k, temperature);
}

void qat_top_divergence_f32(float *student, const int32_t *ids, const float *log_teacher,
                            qat_loss_sum *sum, size_t R, size_t V, size_t k,
                            const qat_top_divergence *settings) {
    PICK(qat_top_divergence_f32, student, ids, log_teacher, sum, R, V, k, settings);
}

void qat_add_low_rank_f32(float *out, const float *base, const float *b, const float *a, size_t R,
                          size_t K, size_t C, float scale) {
    PICK(qat_add_low_rank_f32, out, base, b, a, R, K, C, scale);
}

double qat_sum_of_squares_f32(const float *x, size_t count) {
    return PICK(qat_sum_of_squares_f32, x, count);
}
