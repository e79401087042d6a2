// Forward and backward passes of a Llama decoder's layers other than the matrix products, the
// losses, and AdamW. Row-major float32.
//
// Legend: R rows (tokens), C columns (channels), T positions of one sequence, V vocabulary,
//         d<name> gradient of the loss with respect to <name>.
// Kernels allocate nothing and keep no state. Outputs are overwritten unless "adds" is said.
// Arguments must not overlap unless said. `_ref` is the specification; the plain name picks the
// fastest twin at run time. Each twin sums in a fixed order, so a run repeats bit for bit.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// 1 if the AVX2 twins are in use, 0 if the reference ones are.
int qat_uses_avx2(void);

// y = x * inv_rms * w, inv_rms[r] = 1 / sqrt(mean(x^2) + eps).
void qat_rmsnorm_forward_f32(float *y, float *inv_rms, const float *x, const float *w, size_t R,
                             size_t C, float eps);
void qat_rmsnorm_forward_f32_ref(float *y, float *inv_rms, const float *x, const float *w,
                                 size_t R, size_t C, float eps);
// Adds to dx [R, C] and, unless NULL, to dw [C].
void qat_rmsnorm_backward_f32(float *dx, float *dw, const float *dy, const float *x,
                              const float *w, const float *inv_rms, size_t R, size_t C);
void qat_rmsnorm_backward_f32_ref(float *dx, float *dw, const float *dy, const float *x,
                                  const float *w, const float *inv_rms, size_t R, size_t C);

// y = (x - mean) * inv * w + b with inv = 1 / sqrt(variance + eps); stats [R, 2] receives mean and
// inv.
void qat_layernorm_forward_f32(float *y, float *stats, const float *x, const float *w,
                               const float *b, size_t R, size_t C, float eps);
void qat_layernorm_forward_f32_ref(float *y, float *stats, const float *x, const float *w,
                                   const float *b, size_t R, size_t C, float eps);
// Adds to dx [R, C] and, unless NULL, to dw [C] and db [C].
void qat_layernorm_backward_f32(float *dx, float *dw, float *db, const float *dy, const float *x,
                                const float *w, const float *stats, size_t R, size_t C);
void qat_layernorm_backward_f32_ref(float *dx, float *dw, float *db, const float *dy,
                                    const float *x, const float *w, const float *stats, size_t R,
                                    size_t C);

// Rows x [R, heads * head_dim], of which row r has position first_position + r % T, or positions[r]
// unless that is NULL; the first `rotated` dimensions of each head turn, cosine and sine are
// [positions, rotated/2].
typedef struct {
    size_t R, T, heads, head_dim, rotated, first_position;
    const int32_t *positions;
} qat_rotation;

// Rotates pairs (i, i + rotated/2) of each head in place, Hugging Face layout.
void qat_rope_rotate_f32(float *x, const float *cosine, const float *sine,
                         const qat_rotation *rotation);
// The transposed rotation, which is its gradient.
void qat_rope_unrotate_f32(float *x, const float *cosine, const float *sine,
                           const qat_rotation *rotation);

// x = cap * tanh(scale * x / cap) in place.
void qat_softcap_f32(float *x, size_t count, float scale, float cap);
void qat_softcap_f32_ref(float *x, size_t count, float scale, float cap);
// d, the gradient of capped values, becomes that of the values before, in place.
void qat_softcap_gradient_f32(float *d, const float *capped, size_t count, float scale, float cap);

// In place on one row: softmax(scale * scores[0..<count]).
void qat_softmax_row_f32(float *scores, size_t count, float scale);
void qat_softmax_row_f32_ref(float *scores, size_t count, float scale);
// In place on the gradient of a row's probabilities: becomes that of its unscaled scores.
void qat_softmax_row_gradient_f32(float *gradient, const float *probabilities, size_t count,
                                  float scale);
void qat_softmax_row_gradient_f32_ref(float *gradient, const float *probabilities, size_t count,
                                      float scale);

typedef enum { QAT_SILU, QAT_GELU, QAT_GELU_TANH, QAT_RELU, QAT_RELU_SQUARED } qat_activation;

// out = f(gate) * up, or f(up) where gate is NULL. out may be gate or up.
void qat_activation_forward_f32(qat_activation f, float *out, const float *gate, const float *up,
                                size_t count);
void qat_activation_forward_f32_ref(qat_activation f, float *out, const float *gate,
                                    const float *up, size_t count);
// dgate is not touched where gate is NULL; it may be gate's own buffer only if that is not needed
// again.
void qat_activation_backward_f32(qat_activation f, float *dgate, float *dup, const float *dout,
                                 const float *gate, const float *up, size_t count);
void qat_activation_backward_f32_ref(qat_activation f, float *dgate, float *dup,
                                     const float *dout, const float *gate, const float *up,
                                     size_t count);

// What the loss kernels report, summed over rows.
typedef struct {
    double loss;       // nats
    uint64_t rows;     // rows with a target
    uint64_t correct;  // rows whose argmax is the target
} qat_loss_sum;

// logits [R, V] become dlogits = (softmax - onehot(target)) * gradient_scale; a row with target < 0
// is ignored and becomes zero.
void qat_cross_entropy_f32(float *logits, qat_loss_sum *sum,
                           const int32_t *targets, size_t R, size_t V, float gradient_scale);
void qat_cross_entropy_f32_ref(float *logits, qat_loss_sum *sum,
                               const int32_t *targets, size_t R, size_t V, float gradient_scale);
// Loss KL(teacher || student) at a temperature, times temperature^2 (Hinton et al. 2015).
// student [R, V] becomes dlogits; teacher [R, V] is overwritten with its probabilities.
void qat_kl_divergence_f32(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                           float temperature, float gradient_scale);
void qat_kl_divergence_f32_ref(float *student, float *teacher, qat_loss_sum *sum, size_t R,
                               size_t V, float temperature, float gradient_scale);
// The same of KL(student || teacher). teacher [R, V] is overwritten.
void qat_reverse_kl_f32(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                        float temperature, float gradient_scale);
void qat_reverse_kl_f32_ref(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                            float temperature, float gradient_scale);
// The same of the generalized Jensen-Shannon divergence of teacher p and student q, 0 < beta < 1:
// beta KL(p || m) + (1 - beta) KL(q || m), m = beta p + (1 - beta) q. teacher is overwritten.
void qat_jensen_shannon_f32(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                            float temperature, float beta, float gradient_scale);
void qat_jensen_shannon_f32_ref(float *student, float *teacher, qat_loss_sum *sum, size_t R,
                                size_t V, float temperature, float beta, float gradient_scale);

// Most tokens whose probabilities are kept of a teacher.
enum { QAT_TOP_LIMIT = 1024 };
// The k most likely tokens of each row of logits [R, V], 1 <= k <= QAT_TOP_LIMIT and k <= V, most likely
// first and equal ones in order, into ids [R, k]; their log-probabilities at a temperature, and that of
// all others together, into log_probabilities [R, k + 1] (minus infinity where k is V). Overwrites logits.
void qat_top_outcomes_f32(float *logits, int32_t *ids, float *log_probabilities, size_t R, size_t V,
                          size_t k, float temperature);
void qat_top_outcomes_f32_ref(float *logits, int32_t *ids, float *log_probabilities, size_t R,
                              size_t V, size_t k, float temperature);
typedef enum { QAT_FORWARD_KL, QAT_REVERSE_KL, QAT_JENSEN_SHANNON } qat_divergence;
typedef struct {
    qat_divergence kind;
    float temperature, beta, gradient_scale;
} qat_top_divergence;
// The divergence on k + 1 outcomes: each of the tokens that ids [R, k] names, and all others as one;
// log_teacher [R, k + 1] is what the teacher gives them at that temperature. With k = V, the divergence
// itself. student becomes dlogits.
void qat_top_divergence_f32(float *student, const int32_t *ids, const float *log_teacher,
                            qat_loss_sum *sum, size_t R, size_t V, size_t k,
                            const qat_top_divergence *settings);
void qat_top_divergence_f32_ref(float *student, const int32_t *ids, const float *log_teacher,
                                qat_loss_sum *sum, size_t R, size_t V, size_t k,
                                const qat_top_divergence *settings);
// sum |x - t|^2 / |t|^2 over rows; d [R, C] is overwritten with gradient_scale times its gradient by x.
// A row of t that is all zeros adds no loss and gets no gradient. Memory-bound: it has no fast twin.
void qat_hidden_error_f32(float *d, const float *x, const float *t, qat_loss_sum *sum, size_t R,
                          size_t C, float gradient_scale);

// x *= factor.
void qat_scale_f32(float *x, size_t count, float factor);
// dst += src.
void qat_add_f32(float *dst, const float *src, size_t count);
// out [R, C] = base + scale b a, of b [R, K] and a [K, C], sums over K in order; where a sum is zero, base
// as it is, the sign of a zero included. out may be base. Twins give the same bits.
void qat_add_low_rank_f32(float *out, const float *base, const float *b, const float *a, size_t R,
                          size_t K, size_t C, float scale);
void qat_add_low_rank_f32_ref(float *out, const float *base, const float *b, const float *a,
                              size_t R, size_t K, size_t C, float scale);
// Where |x| >= limit, the gradient of what clips x to +-limit belongs to the limit: zeroes it there and
// returns the sum of gradient * sign(x) over these elements. One pass over memory: it has no fast twin.
double qat_clip_gradient_f32(float *gradient, const float *x, size_t count, float limit);
// out[r] = table[tokens[r]]; tokens must be in 0 ..< V.
void qat_embedding_forward_f32(float *out, const float *table, const int32_t *tokens, size_t R,
                               size_t C);
// dtable[tokens[r]] += dout[r].
void qat_embedding_backward_f32(float *dtable, const float *dout, const int32_t *tokens, size_t R,
                                size_t C);

// Sum of squares in double, in a fixed order.
double qat_sum_of_squares_f32(const float *x, size_t count);
double qat_sum_of_squares_f32_ref(const float *x, size_t count);

#ifdef __cplusplus
}
#endif
