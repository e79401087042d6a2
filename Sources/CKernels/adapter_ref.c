// The reference of what adds low-rank adapters to weights.
#include "qat_transformer.h"

// Rounded one by one on every processor.
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif

void qat_add_low_rank_f32_ref(float *out, const float *base, const float *b, const float *a,
                              size_t R, size_t K, size_t C, float scale) {
    for (size_t r = 0; r < R; r++) {
        for (size_t c = 0; c < C; c++) {
            float sum = 0;
            for (size_t k = 0; k < K; k++) sum += b[r * K + k] * a[k * C + c];
            float x = base[r * C + c];
            out[r * C + c] = sum == 0 ? x : x + scale * sum;
        }
    }
}
