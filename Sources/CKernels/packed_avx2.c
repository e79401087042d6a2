// AVX2 twins of products with packed weights.
#if defined(__x86_64__)
#include <immintrin.h>
#include "packed_scalar.h"

#define LANES 8
#define LANES_VECTORS 1
#define LANES_TARGET __attribute__((target("avx2,fma,f16c")))
#define LANES_NAME(kernel) kernel##_avx2
#define AVX2_INLINE static inline __attribute__((always_inline)) LANES_TARGET

typedef float lanes_f32 __attribute__((vector_size(32)));
typedef int32_t lanes_i32 __attribute__((vector_size(32)));
typedef uint16_t lanes_u16 __attribute__((vector_size(16)));

AVX2_INLINE lanes_f32 set_f32(float x) { return (lanes_f32)_mm256_set1_ps(x); }
AVX2_INLINE lanes_f32 load_f32(const float *x) { return (lanes_f32)_mm256_loadu_ps(x); }
AVX2_INLINE void store_f32(float *x, lanes_f32 v) { _mm256_storeu_ps(x, (__m256)v); }
AVX2_INLINE lanes_f32 fma_f32(lanes_f32 a, lanes_f32 b, lanes_f32 c) {
    return (lanes_f32)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
AVX2_INLINE lanes_i32 load_i32(const uint8_t *x) {
    return (lanes_i32)_mm256_loadu_si256((const __m256i *)x);
}
AVX2_INLINE __m128i load_bytes(const uint8_t *x) { return _mm_loadl_epi64((const __m128i *)x); }
AVX2_INLINE lanes_u16 widen_u16(const uint8_t *x) {
    return (lanes_u16)_mm_cvtepu8_epi16(load_bytes(x));
}
AVX2_INLINE lanes_u16 extend_u16(const uint8_t *x) {
    return (lanes_u16)_mm_cvtepi8_epi16(load_bytes(x));
}
AVX2_INLINE lanes_i32 widen_i32(const uint8_t *x) {
    return (lanes_i32)_mm256_cvtepu8_epi32(load_bytes(x));
}
AVX2_INLINE lanes_i32 extend_i32(const uint8_t *x) {
    return (lanes_i32)_mm256_cvtepi8_epi32(load_bytes(x));
}
AVX2_INLINE lanes_f32 halves_f32(lanes_u16 x) { return (lanes_f32)_mm256_cvtph_ps((__m128i)x); }
AVX2_INLINE lanes_f32 integers_f32(lanes_i32 x) {
    return (lanes_f32)_mm256_cvtepi32_ps((__m256i)x);
}
AVX2_INLINE lanes_i32 larger_i32(lanes_i32 a, lanes_i32 b) {
    return (lanes_i32)_mm256_max_epi32((__m256i)a, (__m256i)b);
}

// Magnitudes by a look-up of three bits, then the sign.
AVX2_INLINE lanes_f32 nibble_f32(__m256i nibbles, __m256i signs) {
    const __m256 table = _mm256_setr_ps(0, 0.5f, 1, 1.5f, 2, 3, 4, 6);
    __m256 sign = _mm256_and_ps(_mm256_castsi256_ps(signs), _mm256_set1_ps(-0.0f));
    return (lanes_f32)_mm256_or_ps(_mm256_permutevar8x32_ps(table, nibbles), sign);
}

AVX2_INLINE void expand_e2m1(lanes_f32 v[8], const uint8_t *codes) {
    __m256i words = _mm256_loadu_si256((const __m256i *)codes);
#define COLUMN(j)                                                     \
    v[j] = nibble_f32(_mm256_srli_epi32(words, 4 * j),                \
                      _mm256_slli_epi32(words, 28 - 4 * j))
    COLUMN(0);
    COLUMN(1);
    COLUMN(2);
    COLUMN(3);
    COLUMN(4);
    COLUMN(5);
    COLUMN(6);
    COLUMN(7);
#undef COLUMN
}

#include "packed_lanes.h"
#endif
