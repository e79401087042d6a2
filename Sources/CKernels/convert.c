// Conversions between FP32 and BF16: the specification, an AVX2 twin, and which of them runs.
#include <string.h>
#include "dispatch.h"
#include "qat_convert.h"

void qat_narrow_bf16_ref(uint16_t *dst, const float *src, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, src + i, sizeof bits);
        uint32_t quiet = bits >> 16 | 0x40, nearest = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
        dst[i] = (uint16_t)(src[i] != src[i] ? quiet : nearest);
    }
}

void qat_widen_bf16_ref(float *dst, const uint16_t *src, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)src[i] << 16;
        memcpy(dst + i, &bits, sizeof bits);
    }
}

#if QAT_HAS_AVX2
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i narrowed(const float *src) {
    __m256 x = _mm256_loadu_ps(src);
    __m256i bits = _mm256_castps_si256(x), top = _mm256_srli_epi32(bits, 16);
    __m256i odd = _mm256_and_si256(top, _mm256_set1_epi32(1));
    __m256i sum = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    __m256i quiet = _mm256_or_si256(top, _mm256_set1_epi32(0x40));
    __m256i is_nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_blendv_epi8(_mm256_srli_epi32(sum, 16), quiet, is_nan);
}

AVX2 static void narrow_avx2(uint16_t *dst, const float *src, size_t count) {
    size_t i = 0;
    for (; i + 16 <= count; i += 16) {
        __m256i both = _mm256_packus_epi32(narrowed(src + i), narrowed(src + i + 8));
        // Packing works within halves of 128 bits; this puts groups of four back in their order.
        _mm256_storeu_si256((__m256i *)(dst + i), _mm256_permute4x64_epi64(both, 0xD8));
    }
    qat_narrow_bf16_ref(dst + i, src + i, count - i);
}

AVX2 static void widen_avx2(float *dst, const uint16_t *src, size_t count) {
    size_t i = 0;
    for (; i + 8 <= count; i += 8) {
        __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(src + i)));
        _mm256_storeu_si256((__m256i *)(dst + i), _mm256_slli_epi32(wide, 16));
    }
    qat_widen_bf16_ref(dst + i, src + i, count - i);
}
#endif

void qat_narrow_bf16(uint16_t *dst, const float *src, size_t count) {
#if QAT_HAS_AVX2
    if (qat_uses_avx2()) {
        narrow_avx2(dst, src, count);
        return;
    }
#endif
    qat_narrow_bf16_ref(dst, src, count);
}

void qat_widen_bf16(float *dst, const uint16_t *src, size_t count) {
#if QAT_HAS_AVX2
    if (qat_uses_avx2()) {
        widen_avx2(dst, src, count);
        return;
    }
#endif
    qat_widen_bf16_ref(dst, src, count);
}
