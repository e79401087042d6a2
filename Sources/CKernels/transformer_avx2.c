// AVX2 twins of the decoder's layers and of AdamW.
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

QAT_AVX2 void qat_softmax_causal_backward_f32_avx2(float *dprobabilities,
                                                   const float *probabilities, size_t T,
                                                   float scale) {
    for (size_t i = 0; i < T; i++) {
        float *d = dprobabilities + i * T;
        const float *p = probabilities + i * T;
        size_t count = i + 1, j = 0;
        __m256d low = _mm256_setzero_pd(), high = _mm256_setzero_pd();
        for (; j + 8 <= count; j += 8) {
            __m256 v = _mm256_mul_ps(_mm256_loadu_ps(d + j), _mm256_loadu_ps(p + j));
            QAT_ADD_AS_DOUBLE(low, high, v);
        }
        double dot = qat_sum_pd(_mm256_add_pd(low, high));
        for (; j < count; j++) dot += (double)d[j] * p[j];
        __m256 vdot = _mm256_set1_ps((float)dot), vscale = _mm256_set1_ps(scale);
        for (j = 0; j + 8 <= count; j += 8) {
            __m256 v = _mm256_sub_ps(_mm256_loadu_ps(d + j), vdot);
            v = _mm256_mul_ps(_mm256_mul_ps(v, _mm256_loadu_ps(p + j)), vscale);
            _mm256_storeu_ps(d + j, v);
        }
        for (; j < count; j++) d[j] = p[j] * (d[j] - (float)dot) * scale;
        memset(d + count, 0, (T - count) * sizeof(float));
    }
}

QAT_AVX2 static inline __m256 sigmoid(__m256 x) {
    const __m256 one = _mm256_set1_ps(1.0f);
    __m256 e = qat_exp_avx2(_mm256_sub_ps(_mm256_setzero_ps(), x));
    return _mm256_div_ps(one, _mm256_add_ps(one, e));
}

QAT_AVX2 void qat_swiglu_forward_f32_avx2(float *out, const float *gate, const float *up,
                                          size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 g = _mm256_loadu_ps(gate + i);
        __m256 v = _mm256_mul_ps(_mm256_mul_ps(g, sigmoid(g)), _mm256_loadu_ps(up + i));
        _mm256_storeu_ps(out + i, v);
    }
    qat_swiglu_forward_f32_ref(out + i, gate + i, up + i, count - i);
}

QAT_AVX2 void qat_swiglu_backward_f32_avx2(float *dgate, float *dup, const float *dout,
                                           const float *gate, const float *up, size_t count) {
    const __m256 one = _mm256_set1_ps(1.0f);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 g = _mm256_loadu_ps(gate + i), d = _mm256_loadu_ps(dout + i);
        __m256 s = sigmoid(g);
        __m256 u = _mm256_loadu_ps(up + i);
        _mm256_storeu_ps(dup + i, _mm256_mul_ps(_mm256_mul_ps(d, g), s));
        __m256 slope = _mm256_fmadd_ps(g, _mm256_sub_ps(one, s), one);
        __m256 v = _mm256_mul_ps(_mm256_mul_ps(d, u), _mm256_mul_ps(s, slope));
        _mm256_storeu_ps(dgate + i, v);
    }
    qat_swiglu_backward_f32_ref(dgate + i, dup + i, dout + i, gate + i, up + i, count - i);
}

QAT_AVX2 void qat_adamw_f32_avx2(float *w, float *m, float *v, const float *gradient,
                                 size_t count, const qat_adamw *step) {
    const __m256 beta1 = _mm256_set1_ps(step->beta1), beta2 = _mm256_set1_ps(step->beta2);
    const __m256 rest1 = _mm256_set1_ps(1.0f - step->beta1);
    const __m256 rest2 = _mm256_set1_ps(1.0f - step->beta2);
    const __m256 rate = _mm256_set1_ps(step->learning_rate / step->bias_correction1);
    const __m256 root = _mm256_set1_ps(sqrtf(step->bias_correction2));
    const __m256 keep = _mm256_set1_ps(1.0f - step->learning_rate * step->weight_decay);
    const __m256 epsilon = _mm256_set1_ps(step->epsilon);
    const __m256 scale = _mm256_set1_ps(step->gradient_scale);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 g = _mm256_mul_ps(_mm256_loadu_ps(gradient + i), scale);
        __m256 mi = _mm256_add_ps(_mm256_mul_ps(beta1, _mm256_loadu_ps(m + i)),
                                  _mm256_mul_ps(rest1, g));
        __m256 vi = _mm256_add_ps(_mm256_mul_ps(beta2, _mm256_loadu_ps(v + i)),
                                  _mm256_mul_ps(_mm256_mul_ps(rest2, g), g));
        __m256 denominator = _mm256_add_ps(_mm256_div_ps(_mm256_sqrt_ps(vi), root), epsilon);
        __m256 update = _mm256_div_ps(_mm256_mul_ps(rate, mi), denominator);
        __m256 wi = _mm256_sub_ps(_mm256_mul_ps(_mm256_loadu_ps(w + i), keep), update);
        _mm256_storeu_ps(m + i, mi);
        _mm256_storeu_ps(v + i, vi);
        _mm256_storeu_ps(w + i, wi);
    }
    qat_adamw_f32_ref(w + i, m + i, v + i, gradient + i, count - i, step);
}
#endif
