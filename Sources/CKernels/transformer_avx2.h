// The AVX2 twins; not part of the public interface but visible to dispatch.
#pragma once
#include "qat_transformer.h"

void qat_rmsnorm_forward_f32_avx2(float *y, float *inv_rms, const float *x, const float *w,
                                  size_t R, size_t C, float eps);
void qat_rmsnorm_backward_f32_avx2(float *dx, float *dw, const float *dy, const float *x,
                                   const float *w, const float *inv_rms, size_t R, size_t C);
void qat_softmax_row_f32_avx2(float *scores, size_t count, float scale);
void qat_softmax_row_gradient_f32_avx2(float *gradient, const float *probabilities, size_t count,
                                       float scale);
void qat_activation_forward_f32_avx2(qat_activation f, float *out, const float *gate,
                                     const float *up, size_t count);
void qat_activation_backward_f32_avx2(qat_activation f, float *dgate, float *dup,
                                      const float *dout, const float *gate, const float *up,
                                      size_t count);
void qat_softcap_f32_avx2(float *x, size_t count, float scale, float cap);
void qat_layernorm_forward_f32_avx2(float *y, float *stats, const float *x, const float *w,
                                    const float *b, size_t R, size_t C, float eps);
void qat_layernorm_backward_f32_avx2(float *dx, float *dw, float *db, const float *dy,
                                     const float *x, const float *w, const float *stats, size_t R,
                                     size_t C);
void qat_cross_entropy_f32_avx2(float *logits, qat_loss_sum *sum,
                                const int32_t *targets, size_t R, size_t V, float gradient_scale);
void qat_kl_divergence_f32_avx2(float *student, float *teacher, qat_loss_sum *sum, size_t R,
                                size_t V, float temperature, float gradient_scale);
void qat_reverse_kl_f32_avx2(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                             float temperature, float gradient_scale);
void qat_jensen_shannon_f32_avx2(float *student, float *teacher, qat_loss_sum *sum, size_t R,
                                 size_t V, float temperature, float beta, float gradient_scale);
void qat_top_outcomes_f32_avx2(float *logits, int32_t *ids, float *log_probabilities, size_t R,
                               size_t V, size_t k, float temperature);
void qat_top_divergence_f32_avx2(float *student, const int32_t *ids, const float *log_teacher,
                                 qat_loss_sum *sum, size_t R, size_t V, size_t k,
                                 const qat_top_divergence *settings);
void qat_add_low_rank_f32_avx2(float *out, const float *base, const float *b, const float *a,
                               size_t R, size_t K, size_t C, float scale);
double qat_sum_of_squares_f32_avx2(const float *x, size_t count);
