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

// Rotates pairs (i, i + head_dim/2) of each head in place, Hugging Face layout. x is [R, heads *
// head_dim]; row r has position first_position + r % T; cosine and sine are [positions,
// head_dim/2].
void qat_rope_rotate_f32(float *x, const float *cosine, const float *sine, size_t R, size_t T,
                         size_t heads, size_t head_dim, size_t first_position);
// The inverse rotation, which is also its gradient.
void qat_rope_unrotate_f32(float *x, const float *cosine, const float *sine, size_t R, size_t T,
                           size_t heads, size_t head_dim, size_t first_position);

// In place on scores [T, T]: row i becomes softmax(scale * scores[i, 0...i]), zero beyond i.
void qat_softmax_causal_forward_f32(float *scores, size_t T, float scale);
void qat_softmax_causal_forward_f32_ref(float *scores, size_t T, float scale);
// In place on dprobabilities [T, T]: becomes the gradient of the unscaled scores.
void qat_softmax_causal_backward_f32(float *dprobabilities, const float *probabilities, size_t T,
                                     float scale);
void qat_softmax_causal_backward_f32_ref(float *dprobabilities, const float *probabilities,
                                         size_t T, float scale);
// In place on one row: softmax(scale * scores[0..<count]).
void qat_softmax_row_f32(float *scores, size_t count, float scale);
void qat_softmax_row_f32_ref(float *scores, size_t count, float scale);

// out = gate * sigmoid(gate) * up. out may be gate or up.
void qat_swiglu_forward_f32(float *out, const float *gate, const float *up, size_t count);
void qat_swiglu_forward_f32_ref(float *out, const float *gate, const float *up, size_t count);
// dgate may be gate's own buffer only if it is not needed again.
void qat_swiglu_backward_f32(float *dgate, float *dup, const float *dout, const float *gate,
                             const float *up, size_t count);
void qat_swiglu_backward_f32_ref(float *dgate, float *dup, const float *dout, const float *gate,
                                 const float *up, size_t count);

// What the loss kernels report, summed over rows.
typedef struct {
    double loss;       // nats
    uint64_t rows;     // rows with a target
    uint64_t correct;  // rows whose argmax is the target
} qat_loss_sum;

// logits [R, V] become dlogits = (softmax - onehot(target)) * gradient_scale; a row with target < 0
// is ignored and becomes zero. losses[r], unless NULL, receives the row's loss (0 if ignored).
void qat_cross_entropy_f32(float *logits, double *losses, qat_loss_sum *sum,
                           const int32_t *targets, size_t R, size_t V, float gradient_scale);
void qat_cross_entropy_f32_ref(float *logits, double *losses, qat_loss_sum *sum,
                               const int32_t *targets, size_t R, size_t V, float gradient_scale);
// Loss KL(teacher || student) at a temperature, times temperature^2 (Hinton et al. 2015).
// student [R, V] becomes dlogits; teacher [R, V] is overwritten with its probabilities.
void qat_kl_divergence_f32(float *student, float *teacher, qat_loss_sum *sum, size_t R, size_t V,
                           float temperature, float gradient_scale);
void qat_kl_divergence_f32_ref(float *student, float *teacher, qat_loss_sum *sum, size_t R,
                               size_t V, float temperature, float gradient_scale);

// dst += src.
void qat_add_f32(float *dst, const float *src, size_t count);
// out[r] = table[tokens[r]]; tokens must be in 0 ..< V.
void qat_embedding_forward_f32(float *out, const float *table, const int32_t *tokens, size_t R,
                               size_t C);
// dtable[tokens[r]] += dout[r].
void qat_embedding_backward_f32(float *dtable, const float *dout, const int32_t *tokens, size_t R,
                                size_t C);

// Sum of squares in double, in a fixed order.
double qat_sum_of_squares_f32(const float *x, size_t count);
double qat_sum_of_squares_f32_ref(const float *x, size_t count);

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

#ifdef __cplusplus
}
#endif
