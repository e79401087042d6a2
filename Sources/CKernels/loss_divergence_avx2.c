// AVX2 twins of the divergences other than KL(teacher || student).
#if defined(__x86_64__)
#include <float.h>
#include <math.h>
#include "loss_avx2.h"
#include "transformer_avx2.h"

// Two rows of logits as they are shifted and scaled.
typedef struct {
    const float *student, *teacher;
    float top_s, top_t, scale;
} rows_of_logits;

QAT_AVX2 static inline __m256 shifted(const float *x, float top, float scale) {
    return _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x), _mm256_set1_ps(top)),
                         _mm256_set1_ps(scale));
}

// The sums of exp(a), exp(b) and exp(a) (a - b), a being the student's logits.
QAT_AVX2 static void reverse_sums(rows_of_logits x, size_t count, double sums[3]) {
    __m256d low[3], high[3];
    for (int k = 0; k < 3; k++) low[k] = high[k] = _mm256_setzero_pd();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 a = shifted(x.student + i, x.top_s, x.scale);
        __m256 b = shifted(x.teacher + i, x.top_t, x.scale);
        __m256 e = qat_exp_avx2(a), t = qat_exp_avx2(b), v = _mm256_mul_ps(e, _mm256_sub_ps(a, b));
        QAT_ADD_AS_DOUBLE(low[0], high[0], e);
        QAT_ADD_AS_DOUBLE(low[1], high[1], t);
        QAT_ADD_AS_DOUBLE(low[2], high[2], v);
    }
    for (int k = 0; k < 3; k++) sums[k] = qat_sum_pd(_mm256_add_pd(low[k], high[k]));
    for (; i < count; i++) {
        float a = (x.student[i] - x.top_s) * x.scale, b = (x.teacher[i] - x.top_t) * x.scale;
        float e = expf(a);
        sums[0] += e;
        sums[1] += expf(b);
        sums[2] += (double)e * ((double)a - b);
    }
}

QAT_AVX2 static void reverse_gradient(float *student, rows_of_logits x, size_t count,
                                      float inverse, float middle, float slope) {
    const __m256 vinverse = _mm256_set1_ps(inverse), vmiddle = _mm256_set1_ps(middle);
    const __m256 vslope = _mm256_set1_ps(slope);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 a = shifted(x.student + i, x.top_s, x.scale);
        __m256 b = shifted(x.teacher + i, x.top_t, x.scale);
        __m256 q = _mm256_mul_ps(qat_exp_avx2(a), vinverse);
        __m256 v = _mm256_mul_ps(q, _mm256_sub_ps(_mm256_sub_ps(a, b), vmiddle));
        _mm256_storeu_ps(student + i, _mm256_mul_ps(v, vslope));
    }
    for (; i < count; i++) {
        float a = (x.student[i] - x.top_s) * x.scale, b = (x.teacher[i] - x.top_t) * x.scale;
        student[i] = expf(a) * inverse * ((a - b) - middle) * slope;
    }
}

QAT_AVX2 void qat_reverse_kl_f32_avx2(float *student, float *teacher, qat_loss_sum *sum, size_t R,
                                      size_t V, float temperature, float gradient_scale) {
    for (size_t r = 0; r < R; r++) {
        float *s = student + r * V;
        const float *t = teacher + r * V;
        rows_of_logits x = {s, t, row_max(s, V), row_max(t, V), 1.0f / temperature};
        int same = first_index(s, V, x.top_s) == first_index(t, V, x.top_t);
        double sums[3];
        reverse_sums(x, V, sums);
        double mean = sums[2] / sums[0];
        reverse_gradient(s, x, V, (float)(1.0 / sums[0]), (float)mean,
                         gradient_scale * temperature);
        sum->loss += (mean - log(sums[0]) + log(sums[1])) * temperature * temperature;
        sum->rows += 1;
        sum->correct += (uint64_t)same;
    }
}

// student and teacher become q and log(q / m); returns the sums of q log(q / m) and p log(p / m).
QAT_AVX2 static void mixture_terms(float *student, float *teacher, size_t count, float inverse_s,
                                   float inverse_t, float beta, double sums[2]) {
    const __m256 is = _mm256_set1_ps(inverse_s), it = _mm256_set1_ps(inverse_t);
    const __m256 vbeta = _mm256_set1_ps(beta), vrest = _mm256_set1_ps(1.0f - beta);
    const __m256 least = _mm256_set1_ps(FLT_MIN);
    __m256d low[2], high[2];
    for (int k = 0; k < 2; k++) low[k] = high[k] = _mm256_setzero_pd();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 q = _mm256_mul_ps(_mm256_loadu_ps(student + i), is);
        __m256 p = _mm256_mul_ps(_mm256_loadu_ps(teacher + i), it);
        __m256 m = _mm256_fmadd_ps(vbeta, p, _mm256_mul_ps(vrest, q));
        m = _mm256_max_ps(m, least);
        __m256 log_q = qat_log_avx2(_mm256_max_ps(_mm256_div_ps(q, m), least));
        __m256 log_p = qat_log_avx2(_mm256_max_ps(_mm256_div_ps(p, m), least));
        __m256 v = _mm256_mul_ps(q, log_q), w = _mm256_mul_ps(p, log_p);
        QAT_ADD_AS_DOUBLE(low[0], high[0], v);
        QAT_ADD_AS_DOUBLE(low[1], high[1], w);
        _mm256_storeu_ps(student + i, q);
        _mm256_storeu_ps(teacher + i, log_q);
    }
    for (int k = 0; k < 2; k++) sums[k] = qat_sum_pd(_mm256_add_pd(low[k], high[k]));
    for (; i < count; i++) {
        float q = student[i] * inverse_s, p = teacher[i] * inverse_t;
        float m = fmaxf(beta * p + (1.0f - beta) * q, FLT_MIN);
        float log_q = logf(fmaxf(q / m, FLT_MIN));
        sums[0] += (double)q * log_q;
        sums[1] += (double)p * logf(fmaxf(p / m, FLT_MIN));
        student[i] = q;
        teacher[i] = log_q;
    }
}

QAT_AVX2 static void mixture_gradient(float *student, const float *log_q, size_t count,
                                      float middle, float slope) {
    const __m256 vmiddle = _mm256_set1_ps(middle), vslope = _mm256_set1_ps(slope);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 v = _mm256_sub_ps(_mm256_loadu_ps(log_q + i), vmiddle);
        v = _mm256_mul_ps(_mm256_loadu_ps(student + i), v);
        _mm256_storeu_ps(student + i, _mm256_mul_ps(v, vslope));
    }
    for (; i < count; i++) student[i] = student[i] * (log_q[i] - middle) * slope;
}

QAT_AVX2 void qat_jensen_shannon_f32_avx2(float *student, float *teacher, qat_loss_sum *sum,
                                          size_t R, size_t V, float temperature, float beta,
                                          float gradient_scale) {
    float inverse_temperature = 1.0f / temperature, rest = 1.0f - beta;
    for (size_t r = 0; r < R; r++) {
        float *s = student + r * V;
        float *t = teacher + r * V;
        float top_s = row_max(s, V), top_t = row_max(t, V);
        int same = first_index(s, V, top_s) == first_index(t, V, top_t);
        double total_s = exponentials(s, V, top_s, inverse_temperature);
        double total_t = exponentials(t, V, top_t, inverse_temperature);
        double sums[2];
        mixture_terms(s, t, V, (float)(1.0 / total_s), (float)(1.0 / total_t), beta, sums);
        mixture_gradient(s, t, V, (float)sums[0], gradient_scale * temperature * rest);
        sum->loss += (beta * sums[1] + rest * sums[0]) * temperature * temperature;
        sum->rows += 1;
        sum->correct += (uint64_t)same;
    }
}
#endif
