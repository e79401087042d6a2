// AVX2 twins of the block quantization kernels.
#if defined(__x86_64__)
#include <immintrin.h>
#include "quantize_scalar.h"

#define AVX2 __attribute__((target("avx2,fma")))


AVX2 float qat_amax_f32_avx2(const float *src, size_t count) {
    const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7FFFFFFF));
    // Magnitudes compare as integers, and a NaN is above infinity there: nothing is lost.
    __m256i best = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256 a = _mm256_and_ps(_mm256_loadu_ps(src + i), magnitude);
        best = _mm256_max_epi32(best, _mm256_castps_si256(a));
    }
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(best), _mm256_extracti128_si256(best, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1));
    uint32_t bits = (uint32_t)_mm_cvtsi128_si32(m);
    for (; i < count; i++) {
        uint32_t b = qat_float_bits(src[i]) & 0x7FFFFFFF;
        if (b > bits) bits = b;
    }
    return qat_float_from_bits(bits);
}

// Adding and subtracting 1.5 * 2^(23 + k) rounds to a multiple of 2^k, ties to even; k follows each
// element's own exponent, but not below the element type's smallest.
AVX2 static inline __m256 round_to_grid(__m256 a, __m256i min_exponent_bits, __m256i shift_bits,
                                        __m256 max_value) {
    const __m256i exponent_mask = _mm256_set1_epi32(0x7F800000);
    __m256i exponent = _mm256_and_si256(_mm256_castps_si256(a), exponent_mask);
    exponent = _mm256_max_epi32(exponent, min_exponent_bits);
    __m256i magic_bits = _mm256_add_epi32(exponent, shift_bits);
    __m256 magic = _mm256_castsi256_ps(magic_bits);
    __m256 rounded = _mm256_sub_ps(_mm256_add_ps(a, magic), magic);
    return _mm256_min_ps(rounded, max_value);
}

AVX2 void qat_fake_quantize_mx_f32_avx2(float *dst, const float *src, size_t count, size_t block,
                                        const qat_block_format *format) {
    const qat_element *element = &format->element;
    const __m256 sign_mask = _mm256_set1_ps(-0.0f);
    const __m256i min_exponent_bits = _mm256_set1_epi32((element->min_exponent + 127) << 23);
    // exponent e -> 1.5 * 2^(e - mantissa_bits + 23).
    const __m256i shift_bits = _mm256_set1_epi32(((23 - element->mantissa_bits) << 23) | 0x400000);
    const __m256 max_value = _mm256_set1_ps(element->max_value);
    // Two's complement has one zero: adding +0 makes -0 that zero, adding -0 keeps it.
    const __m256 zero = _mm256_set1_ps(element->is_int ? 0.0f : -0.0f);
    for (size_t start = 0; start + block <= count; start += block) {
        const float *x = src + start;
        float *y = dst + start;
        float amax = qat_amax_f32_avx2(x, block);
        uint8_t byte = qat_scale_e8m0(amax, element, format->scale_mode);
        // The quotient by a power of two is the product with its reciprocal, unless that is
        // subnormal or infinite; such blocks are left to the reference.
        if (byte < 2 || byte > 252) {
            qat_fake_quantize_f32_ref(y, x, block, block, format);
            continue;
        }
        const __m256 scale = _mm256_set1_ps(qat_float_from_bits((uint32_t)byte << 23));
        const __m256 inverse = _mm256_set1_ps(qat_float_from_bits((uint32_t)(254 - byte) << 23));
        for (size_t i = 0; i < block; i += 8) {
            __m256 v = _mm256_loadu_ps(x + i);
            __m256 sign = _mm256_and_ps(v, sign_mask);
            __m256 a = _mm256_mul_ps(_mm256_andnot_ps(sign_mask, v), inverse);
            a = round_to_grid(_mm256_min_ps(a, max_value), min_exponent_bits, shift_bits,
                              max_value);
            __m256 signed_value = _mm256_or_ps(_mm256_mul_ps(a, scale), sign);
            _mm256_storeu_ps(y + i, _mm256_add_ps(signed_value, zero));
        }
    }
}
#endif
