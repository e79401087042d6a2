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

typedef struct {
    __m256 beta1, beta2, rest1, rest2, rate, root, keep, epsilon, scale;
} adamw_lanes;

QAT_AVX2 static adamw_lanes lanes_of(const qat_adamw *step) {
    return (adamw_lanes){
        .beta1 = _mm256_set1_ps(step->beta1),
        .beta2 = _mm256_set1_ps(step->beta2),
        .rest1 = _mm256_set1_ps(1.0f - step->beta1),
        .rest2 = _mm256_set1_ps(1.0f - step->beta2),
        .rate = _mm256_set1_ps(step->learning_rate / step->bias_correction1),
        .root = _mm256_set1_ps(sqrtf(step->bias_correction2)),
        .keep = _mm256_set1_ps(1.0f - step->learning_rate * step->weight_decay),
        .epsilon = _mm256_set1_ps(step->epsilon),
        .scale = _mm256_set1_ps(step->gradient_scale),
    };
}

// Eight elements: moments in registers, weights in memory.
QAT_AVX2 static inline void update(float *w, __m256 *m, __m256 *v, const float *gradient,
                                   const adamw_lanes *l) {
    __m256 g = _mm256_mul_ps(_mm256_loadu_ps(gradient), l->scale);
    *m = _mm256_add_ps(_mm256_mul_ps(l->beta1, *m), _mm256_mul_ps(l->rest1, g));
    *v = _mm256_add_ps(_mm256_mul_ps(l->beta2, *v), _mm256_mul_ps(_mm256_mul_ps(l->rest2, g), g));
    __m256 denominator = _mm256_add_ps(_mm256_div_ps(_mm256_sqrt_ps(*v), l->root), l->epsilon);
    __m256 change = _mm256_div_ps(_mm256_mul_ps(l->rate, *m), denominator);
    _mm256_storeu_ps(w, _mm256_sub_ps(_mm256_mul_ps(_mm256_loadu_ps(w), l->keep), change));
}

QAT_AVX2 void qat_adamw_f32_avx2(float *w, float *m, float *v, const float *gradient,
                                 size_t count, const qat_adamw *step) {
    const adamw_lanes lanes = lanes_of(step);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 mi = _mm256_loadu_ps(m + i), vi = _mm256_loadu_ps(v + i);
        update(w + i, &mi, &vi, gradient + i, &lanes);
        _mm256_storeu_ps(m + i, mi);
        _mm256_storeu_ps(v + i, vi);
    }
    qat_adamw_f32_ref(w + i, m + i, v + i, gradient + i, count - i, step);
}

QAT_AVX2 static inline __m256i scramble(__m256i x) {
    x = _mm256_mullo_epi32(_mm256_xor_si256(x, _mm256_srli_epi32(x, 16)),
                           _mm256_set1_epi32(0x7feb352d));
    x = _mm256_mullo_epi32(_mm256_xor_si256(x, _mm256_srli_epi32(x, 15)),
                           _mm256_set1_epi32((int)UINT32_C(0x846ca68b)));
    return _mm256_xor_si256(x, _mm256_srli_epi32(x, 16));
}

QAT_AVX2 static inline __m256 widen(const uint16_t *x) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)x));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

// The upper halves, after `random` below 2^16 was added.
QAT_AVX2 static inline void narrow(uint16_t *out, __m256 x, __m256i random) {
    __m256i bits = _mm256_srli_epi32(_mm256_add_epi32(_mm256_castps_si256(x), random), 16);
    __m128i low = _mm256_castsi256_si128(bits), high = _mm256_extracti128_si256(bits, 1);
    _mm_storeu_si128((__m128i *)out, _mm_packus_epi32(low, high));
}

QAT_AVX2 void qat_adamw_bf16_f32_avx2(float *w, uint16_t *m, uint16_t *v, const float *gradient,
                                      size_t count, size_t first, uint32_t seed,
                                      const qat_adamw *step) {
    const adamw_lanes lanes = lanes_of(step);
    const __m256i half = _mm256_set1_epi32(0xFFFF);
    uint32_t offset = (uint32_t)_mm256_extract_epi32(scramble(_mm256_set1_epi32((int)seed)), 0) +
                      (uint32_t)first;
    __m256i place = _mm256_add_epi32(_mm256_set1_epi32((int)offset),
                                     _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 mi = widen(m + i), vi = widen(v + i);
        update(w + i, &mi, &vi, gradient + i, &lanes);
        __m256i random = scramble(place);
        narrow(m + i, mi, _mm256_and_si256(random, half));
        narrow(v + i, vi, _mm256_srli_epi32(random, 16));
        place = _mm256_add_epi32(place, _mm256_set1_epi32(8));
    }
    qat_adamw_bf16_f32_ref(w + i, m + i, v + i, gradient + i, count - i, first + i, seed, step);
}
#endif
