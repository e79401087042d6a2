// AVX2 twins of the decoder's layers.
#if defined(__x86_64__)
#include <math.h>
#include <string.h>
#include "avx2_math.h"
#include "transformer_avx2.h"

QAT_AVX2 double qat_sum_of_squares_f32_avx2(const float *x, size_t count) {
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 v = _mm256_loadu_ps(x + i);
        __m256d a = _mm256_cvtps_pd(_mm256_castps256_ps128(v));
        __m256d b = _mm256_cvtps_pd(_mm256_extractf128_ps(v, 1));
        low = _mm256_fmadd_pd(a, a, low);
        high = _mm256_fmadd_pd(b, b, high);
    }
    double sum = qat_sum_pd(_mm256_add_pd(low, high));
    for (; i < count; i++) sum += (double)x[i] * x[i];
    return sum;
}

QAT_AVX2 void qat_rmsnorm_forward_f32_avx2(float *y, float *inv_rms, const float *x,
                                           const float *w, size_t R, size_t C, float eps) {
    for (size_t r = 0; r < R; r++) {
        const float *xr = x + r * C;
        float *yr = y + r * C;
        double sum = qat_sum_of_squares_f32_avx2(xr, C);
        float inv = 1.0f / sqrtf((float)(sum / (double)C) + eps);
        __m256 scale = _mm256_set1_ps(inv);
        inv_rms[r] = inv;
        size_t c = 0;
        for (; c + 8 <= C; c += 8) {
            __m256 v = _mm256_mul_ps(_mm256_loadu_ps(xr + c), scale);
            _mm256_storeu_ps(yr + c, _mm256_mul_ps(v, _mm256_loadu_ps(w + c)));
        }
        for (; c < C; c++) yr[c] = xr[c] * inv * w[c];
    }
}

QAT_AVX2 static double weighted_dot(const float *dy, const float *w, const float *x, size_t C) {
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    size_t c = 0;
    for (; c + 8 <= C; c += 8) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(dy + c), _mm256_loadu_ps(w + c));
        v = _mm256_mul_ps(v, _mm256_loadu_ps(x + c));
        QAT_ADD_AS_DOUBLE(low, high, v);
    }
    double dot = qat_sum_pd(_mm256_add_pd(low, high));
    for (; c < C; c++) dot += (double)dy[c] * w[c] * x[c];
    return dot;
}

QAT_AVX2 void qat_rmsnorm_backward_f32_avx2(float *dx, float *dw, const float *dy, const float *x,
                                            const float *w, const float *inv_rms, size_t R,
                                            size_t C) {
    for (size_t r = 0; r < R; r++) {
        const float *xr = x + r * C, *dyr = dy + r * C;
        float *dxr = dx + r * C;
        float inv = inv_rms[r];
        float k = (float)(weighted_dot(dyr, w, xr, C) / (double)C) * inv * inv * inv;
        __m256 vinv = _mm256_set1_ps(inv), vk = _mm256_set1_ps(k);
        size_t c = 0;
        for (; c + 8 <= C; c += 8) {
            __m256 d = _mm256_loadu_ps(dyr + c), xv = _mm256_loadu_ps(xr + c);
            __m256 g = _mm256_mul_ps(_mm256_mul_ps(d, _mm256_loadu_ps(w + c)), vinv);
            g = _mm256_fnmadd_ps(xv, vk, g);
            _mm256_storeu_ps(dxr + c, _mm256_add_ps(_mm256_loadu_ps(dxr + c), g));
            if (dw) {
                __m256 t = _mm256_mul_ps(_mm256_mul_ps(d, xv), vinv);
                _mm256_storeu_ps(dw + c, _mm256_add_ps(_mm256_loadu_ps(dw + c), t));
            }
        }
        for (; c < C; c++) {
            dxr[c] += dyr[c] * w[c] * inv - xr[c] * k;
            if (dw) dw[c] += dyr[c] * xr[c] * inv;
        }
    }
}

QAT_AVX2 void qat_softmax_row_f32_avx2(float *scores, size_t count, float scale) {
    float best = -INFINITY;
    size_t i = 0;
    __m256 vbest = _mm256_set1_ps(-INFINITY);
    for (; i + 8 <= count; i += 8) vbest = _mm256_max_ps(vbest, _mm256_loadu_ps(scores + i));
    best = qat_max_ps(vbest);
    for (; i < count; i++) best = fmaxf(best, scores[i]);
    __m256 top = _mm256_set1_ps(best), vscale = _mm256_set1_ps(scale);
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    for (i = 0; i + 8 <= count; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(scores + i), top), vscale);
        v = qat_exp_avx2(v);
        _mm256_storeu_ps(scores + i, v);
        QAT_ADD_AS_DOUBLE(low, high, v);
    }
    double sum = qat_sum_pd(_mm256_add_pd(low, high));
    for (; i < count; i++) {
        scores[i] = expf((scores[i] - best) * scale);
        sum += scores[i];
    }
    float inverse = (float)(1.0 / sum);
    __m256 vinverse = _mm256_set1_ps(inverse);
    for (i = 0; i + 8 <= count; i += 8) {
        _mm256_storeu_ps(scores + i, _mm256_mul_ps(_mm256_loadu_ps(scores + i), vinverse));
    }
    for (; i < count; i++) scores[i] *= inverse;
}

QAT_AVX2 void qat_softmax_row_gradient_f32_avx2(float *gradient, const float *probabilities,
                                                size_t count, float scale) {
    float *d = gradient;
    const float *p = probabilities;
    size_t i = 0;
    __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
    for (; i + 8 <= count; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_loadu_ps(d + i), _mm256_loadu_ps(p + i));
        QAT_ADD_AS_DOUBLE(low, high, v);
    }
    double dot = qat_sum_pd(_mm256_add_pd(low, high));
    for (; i < count; i++) dot += (double)d[i] * p[i];
    __m256 vdot = _mm256_set1_ps((float)dot), vscale = _mm256_set1_ps(scale);
    for (i = 0; i + 8 <= count; i += 8) {
        __m256 v = _mm256_sub_ps(_mm256_loadu_ps(d + i), vdot);
        v = _mm256_mul_ps(_mm256_mul_ps(v, _mm256_loadu_ps(p + i)), vscale);
        _mm256_storeu_ps(d + i, v);
    }
    for (; i < count; i++) d[i] = p[i] * (d[i] - (float)dot) * scale;
}

QAT_AVX2 void qat_layernorm_forward_f32_avx2(float *y, float *stats, const float *x,
                                             const float *w, const float *b, size_t R, size_t C,
                                             float eps) {
    for (size_t r = 0; r < R; r++) {
        const float *xr = x + r * C;
        float *yr = y + r * C;
        __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
        size_t c = 0;
        for (; c + 8 <= C; c += 8) QAT_ADD_AS_DOUBLE(low, high, _mm256_loadu_ps(xr + c));
        double sum = qat_sum_pd(_mm256_add_pd(low, high));
        for (; c < C; c++) sum += xr[c];
        float mean = (float)(sum / (double)C);
        __m256 vmean = _mm256_set1_ps(mean);
        low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
        for (c = 0; c + 8 <= C; c += 8) {
            __m256 v = _mm256_sub_ps(_mm256_loadu_ps(xr + c), vmean);
            QAT_ADD_AS_DOUBLE(low, high, _mm256_mul_ps(v, v));
        }
        double squares = qat_sum_pd(_mm256_add_pd(low, high));
        for (; c < C; c++) squares += (double)(xr[c] - mean) * (xr[c] - mean);
        float inv = 1.0f / sqrtf((float)(squares / (double)C) + eps);
        stats[2 * r] = mean;
        stats[2 * r + 1] = inv;
        __m256 vinv = _mm256_set1_ps(inv);
        for (c = 0; c + 8 <= C; c += 8) {
            __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(xr + c), vmean), vinv);
            v = _mm256_mul_ps(v, _mm256_loadu_ps(w + c));
            _mm256_storeu_ps(yr + c, _mm256_add_ps(v, _mm256_loadu_ps(b + c)));
        }
        for (; c < C; c++) yr[c] = (xr[c] - mean) * inv * w[c] + b[c];
    }
}

QAT_AVX2 void qat_layernorm_backward_f32_avx2(float *dx, float *dw, float *db, const float *dy,
                                              const float *x, const float *w, const float *stats,
                                              size_t R, size_t C) {
    for (size_t r = 0; r < R; r++) {
        const float *xr = x + r * C, *dyr = dy + r * C;
        float *dxr = dx + r * C;
        float mean = stats[2 * r], inv = stats[2 * r + 1];
        __m256 vmean = _mm256_set1_ps(mean), vinv = _mm256_set1_ps(inv);
        __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
        __m256d dot_low = _mm256_setzero_pd(), dot_high = _mm256_setzero_pd();
        size_t c = 0;
        for (; c + 8 <= C; c += 8) {
            __m256 g = _mm256_mul_ps(_mm256_loadu_ps(dyr + c), _mm256_loadu_ps(w + c));
            __m256 n = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(xr + c), vmean), vinv);
            QAT_ADD_AS_DOUBLE(low, high, g);
            QAT_ADD_AS_DOUBLE(dot_low, dot_high, _mm256_mul_ps(g, n));
        }
        double sum = qat_sum_pd(_mm256_add_pd(low, high));
        double dot = qat_sum_pd(_mm256_add_pd(dot_low, dot_high));
        for (; c < C; c++) {
            double g = (double)dyr[c] * w[c];
            sum += g;
            dot += g * ((xr[c] - mean) * inv);
        }
        float mean_g = (float)(sum / (double)C), mean_dot = (float)(dot / (double)C);
        __m256 vmean_g = _mm256_set1_ps(mean_g), vmean_dot = _mm256_set1_ps(mean_dot);
        for (c = 0; c + 8 <= C; c += 8) {
            __m256 d = _mm256_loadu_ps(dyr + c);
            __m256 n = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(xr + c), vmean), vinv);
            __m256 g = _mm256_sub_ps(_mm256_mul_ps(d, _mm256_loadu_ps(w + c)), vmean_g);
            g = _mm256_mul_ps(_mm256_fnmadd_ps(n, vmean_dot, g), vinv);
            _mm256_storeu_ps(dxr + c, _mm256_add_ps(_mm256_loadu_ps(dxr + c), g));
            if (dw) {
                __m256 t = _mm256_add_ps(_mm256_loadu_ps(dw + c), _mm256_mul_ps(d, n));
                _mm256_storeu_ps(dw + c, t);
            }
            if (db) _mm256_storeu_ps(db + c, _mm256_add_ps(_mm256_loadu_ps(db + c), d));
        }
        for (; c < C; c++) {
            float n = (xr[c] - mean) * inv;
            dxr[c] += inv * (dyr[c] * w[c] - mean_g - n * mean_dot);
            if (dw) dw[c] += dyr[c] * n;
            if (db) db[c] += dyr[c];
        }
    }
}
#endif
