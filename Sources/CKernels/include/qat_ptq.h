// Post-training rounding: scale search and GPTQ over rows of blocks.
//
// Values are row-major. Kernels work in place, allocate nothing and keep no state; rows are
// independent, so callers split them over threads.
#pragma once
#include "qat_quantize.h"

#ifdef __cplusplus
extern "C" {
#endif

// QAT_SEARCH_NONE takes the scale that the largest magnitude asks for, or of the two under
// QAT_SCALE_FOUR_OVER_SIX, whose errors count alike; QAT_SEARCH_ERROR tries its
// neighbours, QAT_SEARCH_SWEEP every byte there is, and keeps the one with the least (weighted)
// squared error, the first of equals.
enum { QAT_SEARCH_NONE, QAT_SEARCH_ERROR, QAT_SEARCH_SWEEP };

// How the scale of a block is found.
typedef struct {
    int32_t search;            // QAT_SEARCH_…
    float amax_limit;          // a block's largest magnitude counts as no more; infinity for none
    const float *importance;   // weights of the columns' squared errors; NULL for equal ones
} qat_scale_search;

// errors[s]: the squared error, weighted unless importance is NULL, of rounding a block under
// steps[s]. Eight sums of each eighth square, added in a fixed order: the same on every machine.
void qat_measure_steps_f32(double *errors, const float *steps, size_t count, const float *x,
                           size_t block, const float *importance, const qat_block_format *format);
void qat_measure_steps_f32_ref(double *errors, const float *steps, size_t count, const float *x,
                               size_t block, const float *importance,
                               const qat_block_format *format);

// The scale byte of a block; search->importance points at the block's own weights.
uint8_t qat_choose_scale_f32(const float *x, size_t block, const qat_block_format *format,
                             const qat_scale_search *search);

// Rounds values[rows, columns] in place and writes scales[rows, columns / block].
void qat_round_rows_f32(float *values, uint8_t *scales, size_t rows, size_t columns, size_t block,
                        const qat_block_format *format, const qat_scale_search *search);

// Codes of values that are already multiples of their block's step: what rounding under these
// scales has left.
void qat_encode_rows_f32(uint8_t *codes, const float *values, const uint8_t *scales, size_t rows,
                         size_t columns, size_t block, const qat_block_format *format);

// Learned rounding (SignRound, arXiv 2309.05516): an offset v in -0.5 ... 0.5 for each element, counted in
// the grid's own steps around it, moves the middle between the two values that it may become, so that a code
// is never more than one from the nearest. Values beyond what their block's scale holds become the largest
// that it does, whatever the offset. Under offsets of 0, qat_fake_quantize_scaled_f32; values are finite.
void qat_fake_quantize_offset_f32(float *dst, const float *src, const float *offsets,
                                  const uint8_t *scales, size_t count, size_t block,
                                  const qat_block_format *format);
void qat_fake_quantize_offset_f32_ref(float *dst, const float *src, const float *offsets,
                                      const uint8_t *scales, size_t count, size_t block,
                                      const qat_block_format *format);

// How far a step of learned rounding goes.
typedef struct {
    float offset_rate;                    // of offsets
    float factor_rate;                    // of blocks' factors
    float least_factor, largest_factor;   // within which these stay
} qat_rounding_step;

// A step against the signs of gradients, straight through the rounding. `gradient` is that of what
// qat_fake_quantize_offset_f32 gives of `src`. An offset's has the same sign; none moves where the value is
// beyond its scale. A block's step is `factors` times `steps`, and its gradient the sum of `gradient` times
// round(x) - x of x = src / step, or the largest element beyond it: eight sums of each eighth product in
// double precision, added in a fixed order. `scales` become the nearest to the new steps, as
// qat_encode_steps_f32 has them. Where `factors` is NULL, scales stay.
void qat_learn_rounding_f32(float *offsets, float *factors, uint8_t *scales, const float *gradient,
                            const float *src, const float *steps, size_t count, size_t block,
                            const qat_rounding_step *step, const qat_block_format *format);
void qat_learn_rounding_f32_ref(float *offsets, float *factors, uint8_t *scales,
                                const float *gradient, const float *src, const float *steps,
                                size_t count, size_t block, const qat_rounding_step *step,
                                const qat_block_format *format);

// What rounding did: sums over the elements, of values, their squares, |error| and error², and the
// smallest and largest value.
typedef struct {
    double sum, squares, absolute_error, squared_error;
    float low, high;
} qat_comparison;

void qat_compare_f32(const float *values, const float *rounded, size_t count,
                     qat_comparison *comparison);

// GPTQ (arXiv 2210.17323) on `width` columns starting at a block boundary: rounds each column under
// its block's scale, and spreads the error over the columns to its right within the panel.
// values[row * stride + column]; factor[i * factor_stride + k], k >= i, is the upper Cholesky factor
// of the inverse Hessian; errors[row * width + column] receives what the columns right of the panel
// still have to take: values -= errors * factor. Scales are chosen when a block begins, from the
// values as they then are.
void qat_gptq_panel_f32(float *values, size_t stride, float *errors, uint8_t *scales,
                        size_t scale_stride, size_t rows, size_t width, size_t block,
                        const float *factor, size_t factor_stride,
                        const qat_block_format *format, const qat_scale_search *search);

// The same with scales that are given: column i is rounded under steps[row * step_stride + i].
// Used when columns are taken in another order than they are stored.
void qat_gptq_panel_fixed_f32(float *values, size_t stride, float *errors, const float *steps,
                              size_t step_stride, size_t rows, size_t width, const float *factor,
                              size_t factor_stride, const qat_block_format *format);

#ifdef __cplusplus
}
#endif
