// AVX2 twins of the MLP's nonlinearities and of the soft cap.
#if defined(__x86_64__)
#include <math.h>
#include "avx2_math.h"
#include "transformer_avx2.h"

#define SET(x) _mm256_set1_ps(x)
#define MUL(a, b) _mm256_mul_ps(a, b)
#define ADD(a, b) _mm256_add_ps(a, b)
#define SUB(a, b) _mm256_sub_ps(a, b)

// A nonlinearity's value and slope at x.
typedef struct {
    __m256 value, slope;
} curve;

QAT_AVX2 static inline __m256 sigmoid(__m256 x) {
    __m256 e = qat_exp_avx2(SUB(_mm256_setzero_ps(), x));
    return _mm256_div_ps(SET(1.0f), ADD(SET(1.0f), e));
}

QAT_AVX2 static inline curve silu(__m256 x) {
    __m256 s = sigmoid(x);
    return (curve){MUL(x, s), MUL(s, _mm256_fmadd_ps(x, SUB(SET(1.0f), s), SET(1.0f)))};
}

// The error function to 1.5e-7: Abramowitz & Stegun, Handbook of Mathematical Functions, 7.1.26.
QAT_AVX2 static inline __m256 erf_avx2(__m256 x) {
    const __m256 sign_bit = SET(-0.0f);
    __m256 z = _mm256_andnot_ps(sign_bit, x);
    __m256 t = _mm256_div_ps(SET(1.0f), _mm256_fmadd_ps(z, SET(0.3275911f), SET(1.0f)));
    __m256 p = SET(1.061405429f);
    p = _mm256_fmadd_ps(p, t, SET(-1.453152027f));
    p = _mm256_fmadd_ps(p, t, SET(1.421413741f));
    p = _mm256_fmadd_ps(p, t, SET(-0.284496736f));
    p = _mm256_fmadd_ps(p, t, SET(0.254829592f));
    __m256 e = qat_exp_avx2(SUB(_mm256_setzero_ps(), MUL(z, z)));
    __m256 y = _mm256_fnmadd_ps(MUL(p, t), e, SET(1.0f));
    return _mm256_or_ps(y, _mm256_and_ps(sign_bit, x));
}

QAT_AVX2 static inline curve gelu(__m256 x) {
    __m256 cdf = MUL(SET(0.5f), ADD(SET(1.0f), erf_avx2(MUL(x, SET(0.70710678118654752f)))));
    __m256 e = qat_exp_avx2(MUL(SET(-0.5f), MUL(x, x)));
    __m256 density = MUL(SET(0.39894228040143268f), e);
    return (curve){MUL(x, cdf), _mm256_fmadd_ps(x, density, cdf)};
}

QAT_AVX2 static inline curve gelu_tanh(__m256 x) {
    // (1 + tanh(y)) / 2 is the sigmoid of 2 y.
    const __m256 root = SET(0.79788456080286536f);
    __m256 square = MUL(x, x);
    __m256 y = MUL(MUL(root, x), _mm256_fmadd_ps(SET(0.044715f), square, SET(1.0f)));
    __m256 s = sigmoid(ADD(y, y));
    __m256 inner = MUL(root, _mm256_fmadd_ps(SET(3.0f * 0.044715f), square, SET(1.0f)));
    __m256 rise = MUL(MUL(s, SUB(SET(1.0f), s)), MUL(ADD(x, x), inner));
    return (curve){MUL(x, s), ADD(s, rise)};
}

QAT_AVX2 static inline curve relu(__m256 x) {
    __m256 zero = _mm256_setzero_ps();
    __m256 positive = _mm256_cmp_ps(x, zero, _CMP_GT_OQ);
    return (curve){_mm256_and_ps(x, positive), _mm256_and_ps(SET(1.0f), positive)};
}

QAT_AVX2 static inline curve relu_squared(__m256 x) {
    __m256 r = relu(x).value;
    return (curve){MUL(r, r), ADD(r, r)};
}

QAT_AVX2 static inline curve at(qat_activation f, __m256 x) {
    switch (f) {
        case QAT_SILU: return silu(x);
        case QAT_GELU: return gelu(x);
        case QAT_GELU_TANH: return gelu_tanh(x);
        case QAT_RELU: return relu(x);
        default: return relu_squared(x);
    }
}

QAT_AVX2 void qat_activation_forward_f32_avx2(qat_activation f, float *out, const float *gate,
                                              const float *up, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 u = _mm256_loadu_ps(up + i);
        __m256 v = gate ? MUL(at(f, _mm256_loadu_ps(gate + i)).value, u) : at(f, u).value;
        _mm256_storeu_ps(out + i, v);
    }
    qat_activation_forward_f32_ref(f, out + i, gate ? gate + i : 0, up + i, count - i);
}

QAT_AVX2 void qat_activation_backward_f32_avx2(qat_activation f, float *dgate, float *dup,
                                               const float *dout, const float *gate,
                                               const float *up, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 d = _mm256_loadu_ps(dout + i), u = _mm256_loadu_ps(up + i);
        if (gate) {
            __m256 g = _mm256_loadu_ps(gate + i);
            curve c = at(f, g);
            // SwiGLU multiplies in this order, on which recorded trainings stand to the bit.
            __m256 v = f == QAT_SILU ? MUL(MUL(d, g), sigmoid(g)) : MUL(d, c.value);
            _mm256_storeu_ps(dup + i, v);
            _mm256_storeu_ps(dgate + i, MUL(MUL(d, u), c.slope));
        } else {
            _mm256_storeu_ps(dup + i, MUL(d, at(f, u).slope));
        }
    }
    qat_activation_backward_f32_ref(f, gate ? dgate + i : 0, dup + i, dout + i,
                                    gate ? gate + i : 0, up + i, count - i);
}

// The hyperbolic tangent to about 2 ulp: near 0 the polynomial of Cephes' tanhf (Moshier,
// netlib.org/cephes), beyond by the exponential.
QAT_AVX2 static inline __m256 tanh_avx2(__m256 x) {
    __m256 z = MUL(x, x);
    __m256 p = SET(-5.70498872745e-3f);
    p = _mm256_fmadd_ps(p, z, SET(2.06390887954e-2f));
    p = _mm256_fmadd_ps(p, z, SET(-5.37397155531e-2f));
    p = _mm256_fmadd_ps(p, z, SET(1.33314422036e-1f));
    p = _mm256_fmadd_ps(p, z, SET(-3.33332819422e-1f));
    __m256 small = _mm256_fmadd_ps(MUL(p, z), x, x);
    __m256 e = qat_exp_avx2(ADD(x, x));
    __m256 large = SUB(SET(1.0f), _mm256_div_ps(SET(2.0f), ADD(e, SET(1.0f))));
    __m256 magnitude = _mm256_andnot_ps(SET(-0.0f), x);
    return _mm256_blendv_ps(large, small, _mm256_cmp_ps(magnitude, SET(0.625f), _CMP_LT_OQ));
}

QAT_AVX2 void qat_softcap_f32_avx2(float *x, size_t count, float scale, float cap) {
    const __m256 vscale = SET(scale), vcap = SET(cap);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 v = _mm256_div_ps(MUL(_mm256_loadu_ps(x + i), vscale), vcap);
        _mm256_storeu_ps(x + i, MUL(vcap, tanh_avx2(v)));
    }
    qat_softcap_f32_ref(x + i, count - i, scale, cap);
}
#endif
