// AVX2 twins of the optimizers: the reference's operations, eight elements at a time.
#if defined(__x86_64__)
#include <math.h>
#include "avx2_math.h"
#include "optimizer_avx2.h"
#include "optimizer_parts.h"

typedef struct {
    __m256 beta1, beta2, rest1, rest2, rate, root, keep, epsilon, scale;
} adamw_lanes;

QAT_AVX2 static adamw_lanes adamw_lanes_of(const qat_adamw *step) {
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
QAT_AVX2 static inline void adamw_update(float *w, __m256 *m, __m256 *v,
                                         const float *gradient, const adamw_lanes *l) {
    __m256 g = _mm256_mul_ps(_mm256_loadu_ps(gradient), l->scale);
    *m = _mm256_add_ps(_mm256_mul_ps(l->beta1, *m), _mm256_mul_ps(l->rest1, g));
    *v = _mm256_add_ps(_mm256_mul_ps(l->beta2, *v), _mm256_mul_ps(_mm256_mul_ps(l->rest2, g), g));
    __m256 denominator = _mm256_add_ps(_mm256_div_ps(_mm256_sqrt_ps(*v), l->root), l->epsilon);
    __m256 change = _mm256_div_ps(_mm256_mul_ps(l->rate, *m), denominator);
    _mm256_storeu_ps(w, _mm256_sub_ps(_mm256_mul_ps(_mm256_loadu_ps(w), l->keep), change));
}

QAT_AVX2 void qat_adamw_f32_avx2(float *w, float *m, float *v, const float *gradient,
                                 size_t count, const qat_adamw *step) {
    const adamw_lanes lanes = adamw_lanes_of(step);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 mi = _mm256_loadu_ps(m + i), vi = _mm256_loadu_ps(v + i);
        adamw_update(w + i, &mi, &vi, gradient + i, &lanes);
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

// Random bits of the eight elements after `place`.
QAT_AVX2 static inline __m256i random_at(uint32_t place) {
    return scramble(_mm256_add_epi32(_mm256_set1_epi32((int)place),
                                     _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)));
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
    const adamw_lanes lanes = adamw_lanes_of(step);
    const __m256i half = _mm256_set1_epi32(0xFFFF);
    uint32_t offset = qat_moment_offset(seed, first);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 mi = widen(m + i), vi = widen(v + i);
        adamw_update(w + i, &mi, &vi, gradient + i, &lanes);
        __m256i random = random_at(offset + (uint32_t)i);
        narrow(m + i, mi, _mm256_and_si256(random, half));
        narrow(v + i, vi, _mm256_srli_epi32(random, 16));
    }
    qat_adamw_bf16_f32_ref(w + i, m + i, v + i, gradient + i, count - i, first + i, seed, step);
}

typedef struct {
    __m256 beta1, beta2, rest1, rest2, rate, keep, scale;
} lion_lanes;

QAT_AVX2 static lion_lanes lion_lanes_of(const qat_lion *step) {
    return (lion_lanes){
        .beta1 = _mm256_set1_ps(step->beta1),
        .beta2 = _mm256_set1_ps(step->beta2),
        .rest1 = _mm256_set1_ps(1.0f - step->beta1),
        .rest2 = _mm256_set1_ps(1.0f - step->beta2),
        .rate = _mm256_set1_ps(step->learning_rate),
        .keep = _mm256_set1_ps(1.0f - step->learning_rate * step->weight_decay),
        .scale = _mm256_set1_ps(step->gradient_scale),
    };
}

// Eight elements: the moment in a register, weights in memory.
QAT_AVX2 static inline __m256 lion_update(float *w, __m256 m, const float *gradient,
                                          const lion_lanes *l) {
    __m256 g = _mm256_mul_ps(_mm256_loadu_ps(gradient), l->scale);
    __m256 direction = _mm256_add_ps(_mm256_mul_ps(l->beta1, m), _mm256_mul_ps(l->rest1, g));
    __m256 zero = _mm256_setzero_ps();
    __m256 size = _mm256_and_ps(_mm256_cmp_ps(direction, zero, _CMP_NEQ_OQ), l->rate);
    __m256 change = _mm256_or_ps(size, _mm256_and_ps(direction, _mm256_set1_ps(-0.0f)));
    _mm256_storeu_ps(w, _mm256_sub_ps(_mm256_mul_ps(_mm256_loadu_ps(w), l->keep), change));
    return _mm256_add_ps(_mm256_mul_ps(l->beta2, m), _mm256_mul_ps(l->rest2, g));
}

QAT_AVX2 void qat_lion_f32_avx2(float *w, float *m, const float *gradient, size_t count,
                                const qat_lion *step) {
    const lion_lanes lanes = lion_lanes_of(step);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        _mm256_storeu_ps(m + i, lion_update(w + i, _mm256_loadu_ps(m + i), gradient + i, &lanes));
    }
    qat_lion_f32_ref(w + i, m + i, gradient + i, count - i, step);
}

QAT_AVX2 void qat_lion_bf16_f32_avx2(float *w, uint16_t *m, const float *gradient, size_t count,
                                     size_t first, uint32_t seed, const qat_lion *step) {
    const lion_lanes lanes = lion_lanes_of(step);
    uint32_t offset = qat_moment_offset(seed, first);
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 moment = lion_update(w + i, widen(m + i), gradient + i, &lanes);
        __m256i random = random_at(offset + (uint32_t)i);
        narrow(m + i, moment, _mm256_and_si256(random, _mm256_set1_epi32(0xFFFF)));
    }
    qat_lion_bf16_f32_ref(w + i, m + i, gradient + i, count - i, first + i, seed, step);
}

// qat_decode_magnitude of eight codes.
QAT_AVX2 static inline __m256 decode(__m256i code, uint32_t bias, float unit) {
    __m256i normal = _mm256_add_epi32(_mm256_slli_epi32(code, 20),
                                      _mm256_set1_epi32((int)(bias << 23)));
    __m256 small = _mm256_mul_ps(_mm256_cvtepi32_ps(code), _mm256_set1_ps(1.0f / unit));
    __m256i is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(8), code);
    return _mm256_blendv_ps(_mm256_castsi256_ps(normal), small, _mm256_castsi256_ps(is_small));
}

// qat_encode_magnitude of eight numbers; `random` is of 16 bits each.
QAT_AVX2 static inline __m256i encode(__m256 x, __m256i random, uint32_t bias, float unit) {
    __m256i cut = _mm256_slli_epi32(random, 4);
    __m256 share = _mm256_mul_ps(_mm256_cvtepi32_ps(cut), _mm256_set1_ps(0x1p-20f));
    __m256i small =
        _mm256_cvttps_epi32(_mm256_add_ps(_mm256_mul_ps(x, _mm256_set1_ps(unit)), share));
    __m256i normal = _mm256_srli_epi32(_mm256_add_epi32(_mm256_castps_si256(x), cut), 20);
    normal = _mm256_sub_epi32(normal, _mm256_set1_epi32((int)(bias << 3)));
    __m256 is_small = _mm256_cmp_ps(x, _mm256_set1_ps(8.0f / unit), _CMP_LT_OQ);
    return _mm256_blendv_epi8(normal, small, _mm256_castps_si256(is_small));
}

QAT_AVX2 static inline __m256i bytes_of(const uint8_t *codes) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)codes));
}

// Stores eight numbers below 256 as bytes.
QAT_AVX2 static inline void store_bytes(uint8_t *out, __m256i x) {
    __m128i low = _mm256_castsi256_si128(x), high = _mm256_extracti128_si256(x, 1);
    __m128i halves = _mm_packus_epi32(low, high);
    _mm_storel_epi64((__m128i *)out, _mm_packus_epi16(halves, halves));
}

QAT_AVX2 static void decode_first(float *out, const uint8_t *codes, float scale, size_t n) {
    const __m256i magnitude = _mm256_set1_epi32(127), sign = _mm256_set1_epi32(128);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i code = bytes_of(codes + i);
        __m256 x = decode(_mm256_and_si256(code, magnitude), QAT_FIRST_BIAS, QAT_FIRST_UNIT);
        __m256i bit = _mm256_slli_epi32(_mm256_and_si256(code, sign), 24);
        x = _mm256_or_ps(x, _mm256_castsi256_ps(bit));
        _mm256_storeu_ps(out + i, _mm256_mul_ps(x, _mm256_set1_ps(scale)));
    }
    for (; i < n; i++) out[i] = qat_decode_first(codes[i], scale);
}

QAT_AVX2 static void decode_second(float *out, const uint8_t *codes, float scale, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 x = decode(bytes_of(codes + i), QAT_SECOND_BIAS, QAT_SECOND_UNIT);
        _mm256_storeu_ps(out + i, _mm256_mul_ps(x, _mm256_set1_ps(scale)));
    }
    for (; i < n; i++) out[i] = qat_decode_second(codes[i], scale);
}

QAT_AVX2 static float scale_of(const float *x, size_t n) {
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    __m256 tops = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        tops = _mm256_max_ps(tops, _mm256_and_ps(_mm256_loadu_ps(x + i), magnitude));
    }
    float lanes[8], top = 0;
    _mm256_storeu_ps(lanes, tops);
    for (size_t k = 0; k < 8; k++) top = lanes[k] > top ? lanes[k] : top;
    for (; i < n; i++) {
        float y = x[i] < 0 ? -x[i] : x[i];
        top = y > top ? y : top;
    }
    return qat_moment_scale(top);
}

QAT_AVX2 static void encode_first(uint8_t *codes, const float *x, float scale, uint32_t place,
                                  size_t n) {
    const __m256 inverse = _mm256_set1_ps(1.0f / scale), minus = _mm256_set1_ps(-0.0f);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 y = _mm256_mul_ps(_mm256_loadu_ps(x + i), inverse);
        __m256i random = _mm256_and_si256(random_at(place + (uint32_t)i),
                                          _mm256_set1_epi32(0xFFFF));
        __m256i code = encode(_mm256_andnot_ps(minus, y), random, QAT_FIRST_BIAS, QAT_FIRST_UNIT);
        code = _mm256_min_epi32(code, _mm256_set1_epi32(127));
        __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(_mm256_castps_si256(y), 31), 7);
        store_bytes(codes + i, _mm256_or_si256(code, sign));
    }
    for (; i < n; i++) {
        uint32_t random = qat_scramble(place + (uint32_t)i) & 0xFFFF;
        codes[i] = qat_encode_first(x[i], 1.0f / scale, random);
    }
}

QAT_AVX2 static void encode_second(uint8_t *codes, const float *x, float scale, uint32_t place,
                                   size_t n) {
    const __m256 inverse = _mm256_set1_ps(1.0f / scale), zero = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 value = _mm256_loadu_ps(x + i);
        __m256i random = _mm256_srli_epi32(random_at(place + (uint32_t)i), 16);
        __m256i code = encode(_mm256_mul_ps(value, inverse), random, QAT_SECOND_BIAS,
                              QAT_SECOND_UNIT);
        __m256i is_there = _mm256_castps_si256(_mm256_cmp_ps(value, zero, _CMP_GT_OQ));
        code = _mm256_max_epi32(code, _mm256_srli_epi32(is_there, 31));
        store_bytes(codes + i, _mm256_min_epi32(code, _mm256_set1_epi32(255)));
    }
    for (; i < n; i++) {
        codes[i] = qat_encode_second(x[i], 1.0f / scale, qat_scramble(place + (uint32_t)i) >> 16);
    }
}

void qat_adamw_u8_f32_avx2(float *w, uint8_t *m, float *m_scales, uint8_t *v, float *v_scales,
                           const float *gradient, size_t count, size_t first, uint32_t seed,
                           const qat_adamw *step) {
    uint32_t offset = qat_moment_offset(seed, first);
    float mf[QAT_MOMENT_BLOCK], vf[QAT_MOMENT_BLOCK];
    for (size_t b = 0; b < count; b += QAT_MOMENT_BLOCK, m_scales++, v_scales++) {
        size_t n = qat_block_length(b, count);
        decode_first(mf, m + b, *m_scales, n);
        decode_second(vf, v + b, *v_scales, n);
        qat_adamw_f32_avx2(w + b, mf, vf, gradient + b, n, step);
        *m_scales = scale_of(mf, n);
        *v_scales = scale_of(vf, n);
        encode_first(m + b, mf, *m_scales, offset + (uint32_t)b, n);
        encode_second(v + b, vf, *v_scales, offset + (uint32_t)b, n);
    }
}

void qat_lion_u8_f32_avx2(float *w, uint8_t *m, float *scales, const float *gradient, size_t count,
                          size_t first, uint32_t seed, const qat_lion *step) {
    uint32_t offset = qat_moment_offset(seed, first);
    float mf[QAT_MOMENT_BLOCK];
    for (size_t b = 0; b < count; b += QAT_MOMENT_BLOCK, scales++) {
        size_t n = qat_block_length(b, count);
        decode_first(mf, m + b, *scales, n);
        qat_lion_f32_avx2(w + b, mf, gradient + b, n, step);
        *scales = scale_of(mf, n);
        encode_first(m + b, mf, *scales, offset + (uint32_t)b, n);
    }
}
#endif
