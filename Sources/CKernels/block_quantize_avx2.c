// AVX2 twins of the block quantization kernels.
#if defined(__x86_64__)
#include <immintrin.h>
#include "quantize_twins.h"

#define LANES 8
#define LANES_TARGET __attribute__((target("avx2,fma")))
#define LANES_NAME(kernel) kernel##_avx2
#define AVX2_INLINE static inline __attribute__((always_inline)) LANES_TARGET

typedef float lanes_f32 __attribute__((vector_size(32)));
typedef int32_t lanes_i32 __attribute__((vector_size(32)));
typedef double lanes_f64 __attribute__((vector_size(64)));

AVX2_INLINE lanes_f32 set_f32(float x) { return (lanes_f32)_mm256_set1_ps(x); }
AVX2_INLINE lanes_i32 set_i32(int32_t x) { return (lanes_i32)_mm256_set1_epi32(x); }
AVX2_INLINE lanes_f32 load_f32(const float *src) { return (lanes_f32)_mm256_loadu_ps(src); }
AVX2_INLINE void store_f32(float *dst, lanes_f32 x) { _mm256_storeu_ps(dst, (__m256)x); }
AVX2_INLINE lanes_f32 convert_f32(lanes_i32 x) { return (lanes_f32)_mm256_cvtepi32_ps((__m256i)x); }

// A macro: vectors wider than the registers do not pass through functions.
#define widen_f64(x) __builtin_convertvector(x, lanes_f64)

AVX2_INLINE lanes_i32 load_codes(const uint8_t *src) {
    return (lanes_i32)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)src));
}

AVX2_INLINE void store_codes(uint8_t *dst, lanes_i32 codes) {
    __m256i c = (__m256i)codes;
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
    words = _mm_and_si128(words, _mm_set1_epi16(0xFF));
    _mm_storel_epi64((__m128i *)dst, _mm_packus_epi16(words, words));
}

AVX2_INLINE void store_codes4(uint8_t *dst, lanes_i32 a, lanes_i32 b, lanes_i32 c, lanes_i32 d) {
    const __m256i low = _mm256_set1_epi16(0xFF);
    __m256i ab = _mm256_and_si256(_mm256_packs_epi32((__m256i)a, (__m256i)b), low);
    __m256i cd = _mm256_and_si256(_mm256_packs_epi32((__m256i)c, (__m256i)d), low);
    // Packing works within halves of 128 bits; this puts groups of four back in their order.
    __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(ab, cd), order);
    _mm256_storeu_si256((__m256i *)dst, bytes);
}

// The instruction gives its second operand where either is NaN.
AVX2_INLINE lanes_f32 smaller_f32(lanes_f32 limit, lanes_f32 a) {
    return (lanes_f32)_mm256_min_ps((__m256)limit, (__m256)a);
}

AVX2_INLINE lanes_i32 larger_i32(lanes_i32 a, lanes_i32 b) {
    return (lanes_i32)_mm256_max_epi32((__m256i)a, (__m256i)b);
}

AVX2_INLINE int32_t largest_i32(lanes_i32 x) {
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128((__m256i)x),
                              _mm256_extracti128_si256((__m256i)x, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4E));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0xB1));
    return _mm_cvtsi128_si32(m);
}

#include "block_quantize_lanes.h"
#endif
