// Reference kernels of attention over cached rows: the order of sums that all twins keep.
#include <math.h>
#include "qat_cached_attention.h"

void qat_dot_rows_f32_ref(float *scores, const float *q, const float *rows, size_t n,
                          size_t stride, size_t dimension) {
    for (size_t t = 0; t < n; t++) {
        const float *row = rows + t * stride;
        float sums[16] = {0};
        for (size_t d = 0; d < dimension; d++) sums[d % 16] = fmaf(q[d], row[d], sums[d % 16]);
        for (size_t half = 8; half > 0; half /= 2)
            for (size_t i = 0; i < half; i++) sums[i] += sums[i + half];
        scores[t] = sums[0];
    }
}

void qat_mix_rows_f32_ref(float *out, const float *p, const float *rows, size_t n, size_t stride,
                          size_t dimension) {
    for (size_t t = 0; t < n; t++)
        for (size_t d = 0; d < dimension; d++) out[d] = fmaf(p[t], rows[t * stride + d], out[d]);
}
