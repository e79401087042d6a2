// What the AVX2 twins of the losses share: a row's maximum, exponentials and scaling.
#pragma once
#include <math.h>
#include "avx2_math.h"

QAT_AVX2 static inline float row_max(const float *x, size_t count) {
    __m256 best = _mm256_set1_ps(-INFINITY);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) best = _mm256_max_ps(best, _mm256_loadu_ps(x + i));
    float top = qat_max_ps(best);
    for (; i < count; i++) top = fmaxf(top, x[i]);
    return top;
}

// x = exp((x - top) * scale); returns the sum.
QAT_AVX2 static inline double exponentials(float *x, size_t count, float top, float scale) {
    const __m256 vtop = _mm256_set1_ps(top), vscale = _mm256_set1_ps(scale);
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), vtop), vscale);
        v = qat_exp_avx2(v);
        _mm256_storeu_ps(x + i, v);
        QAT_ADD_AS_DOUBLE(low, high, v);
    }
    double sum = qat_sum_pd(_mm256_add_pd(low, high));
    for (; i < count; i++) {
        x[i] = expf((x[i] - top) * scale);
        sum += x[i];
    }
    return sum;
}

QAT_AVX2 static inline void scale_row(float *x, size_t count, float factor) {
    const __m256 f = _mm256_set1_ps(factor);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), f));
    }
    for (; i < count; i++) x[i] *= factor;
}

// The first index that holds the value, as the reference's argmax chooses.
static inline size_t first_index(const float *x, size_t count, float value) {
    size_t i = 0;
    while (i + 1 < count && x[i] != value) i++;
    return i;
}
