// AVX2 twins of the losses.
#if defined(__x86_64__)
#include <math.h>
#include <string.h>
#include "loss_avx2.h"
#include "transformer_avx2.h"

QAT_AVX2 void qat_cross_entropy_f32_avx2(float *logits, qat_loss_sum *sum,
                                         const int32_t *targets, size_t R, size_t V,
                                         float gradient_scale) {
    for (size_t r = 0; r < R; r++) {
        float *row = logits + r * V;
        int32_t target = targets[r];
        if (target < 0) {
            memset(row, 0, V * sizeof(float));
            continue;
        }
        float top = row_max(row, V);
        float at_target = row[target];
        int correct = at_target == top && first_index(row, V, top) == (size_t)target;
        double total = exponentials(row, V, top, 1.0f);
        double loss = log(total) - ((double)at_target - top);
        scale_row(row, V, (float)(gradient_scale / total));
        row[target] -= gradient_scale;
        sum->loss += loss;
        sum->rows += 1;
        sum->correct += (uint64_t)correct;
    }
}

// sum_i exp(b_i) (b_i - a_i), with a and b the shifted, scaled logits of student and teacher.
QAT_AVX2 static double cross_term(const float *student, const float *teacher, size_t count,
                                  float top_s, float top_t, float scale) {
    const __m256 vs = _mm256_set1_ps(top_s), vt = _mm256_set1_ps(top_t);
    const __m256 vscale = _mm256_set1_ps(scale);
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 a = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(student + i), vs), vscale);
        __m256 b = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(teacher + i), vt), vscale);
        __m256 v = _mm256_mul_ps(qat_exp_avx2(b), _mm256_sub_ps(b, a));
        QAT_ADD_AS_DOUBLE(low, high, v);
    }
    double sum = qat_sum_pd(_mm256_add_pd(low, high));
    for (; i < count; i++) {
        float a = (student[i] - top_s) * scale, b = (teacher[i] - top_t) * scale;
        sum += (double)expf(b) * ((double)b - a);
    }
    return sum;
}

QAT_AVX2 static void kl_gradient(float *student, float *teacher, size_t count, float inverse_s,
                                 float inverse_t, float slope) {
    const __m256 is = _mm256_set1_ps(inverse_s), it = _mm256_set1_ps(inverse_t);
    const __m256 vslope = _mm256_set1_ps(slope);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 t = _mm256_mul_ps(_mm256_loadu_ps(teacher + i), it);
        __m256 s = _mm256_mul_ps(_mm256_loadu_ps(student + i), is);
        _mm256_storeu_ps(teacher + i, t);
        _mm256_storeu_ps(student + i, _mm256_mul_ps(_mm256_sub_ps(s, t), vslope));
    }
    for (; i < count; i++) {
        teacher[i] *= inverse_t;
        student[i] = (student[i] * inverse_s - teacher[i]) * slope;
    }
}

QAT_AVX2 void qat_kl_divergence_f32_avx2(float *student, float *teacher, qat_loss_sum *sum,
                                         size_t R, size_t V, float temperature,
                                         float gradient_scale) {
    float inverse_temperature = 1.0f / temperature;
    for (size_t r = 0; r < R; r++) {
        float *s = student + r * V;
        float *t = teacher + r * V;
        float top_s = row_max(s, V), top_t = row_max(t, V);
        int same = first_index(s, V, top_s) == first_index(t, V, top_t);
        double cross = cross_term(s, t, V, top_s, top_t, inverse_temperature);
        double total_s = exponentials(s, V, top_s, inverse_temperature);
        double total_t = exponentials(t, V, top_t, inverse_temperature);
        double loss = cross / total_t - log(total_t) + log(total_s);
        kl_gradient(s, t, V, (float)(1.0 / total_s), (float)(1.0 / total_t),
                    gradient_scale * temperature);
        sum->loss += loss * temperature * temperature;
        sum->rows += 1;
        sum->correct += (uint64_t)same;
    }
}
#endif
