// Products of attention over keys and values that lie row by row, as in a page of a cache: of one
// query head with the rows that it sees, never of queries with each other. So what comes out for a
// query does not depend on which others are computed beside it, in how many calls its rows are handed
// over, or on the twin: all give the same bits.
#pragma once
#include <stddef.h>

// scores[t] = Σ_d q[d] · rows[t · stride + d], for t < n.
//
// Sixteen sums, of the d that are equal modulo 16, each by fused multiply-adds in order from 0; then
// sums i and i + 8 are added, i and i + 4, i and i + 2, and the last two.
void qat_dot_rows_f32(float *scores, const float *q, const float *rows, size_t n, size_t stride,
                      size_t dimension);
void qat_dot_rows_f32_ref(float *scores, const float *q, const float *rows, size_t n,
                          size_t stride, size_t dimension);

// out[d] += Σ_t p[t] · rows[t · stride + d], by fused multiply-adds in order of t < n.
void qat_mix_rows_f32(float *out, const float *p, const float *rows, size_t n, size_t stride,
                      size_t dimension);
void qat_mix_rows_f32_ref(float *out, const float *p, const float *rows, size_t n, size_t stride,
                          size_t dimension);
