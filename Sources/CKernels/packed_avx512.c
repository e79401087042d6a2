// AVX-512 twins of products with packed weights.
#if defined(__x86_64__)
#include <immintrin.h>
#include "packed_scalar.h"

#define LANES 16
#define LANES_VECTORS 2
#define LANES_TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma,f16c")))
#define LANES_NAME(kernel) kernel##_avx512
#define AVX512_INLINE static inline __attribute__((always_inline)) LANES_TARGET

typedef float lanes_f32 __attribute__((vector_size(64)));
typedef int32_t lanes_i32 __attribute__((vector_size(64)));
typedef uint16_t lanes_u16 __attribute__((vector_size(32)));

AVX512_INLINE lanes_f32 set_f32(float x) { return (lanes_f32)_mm512_set1_ps(x); }
AVX512_INLINE lanes_f32 load_f32(const float *x) { return (lanes_f32)_mm512_loadu_ps(x); }
AVX512_INLINE void store_f32(float *x, lanes_f32 v) { _mm512_storeu_ps(x, (__m512)v); }
AVX512_INLINE lanes_f32 fma_f32(lanes_f32 a, lanes_f32 b, lanes_f32 c) {
    return (lanes_f32)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
AVX512_INLINE lanes_i32 load_i32(const uint8_t *x) { return (lanes_i32)_mm512_loadu_si512(x); }
AVX512_INLINE __m128i load_bytes(const uint8_t *x) { return _mm_loadu_si128((const __m128i *)x); }
AVX512_INLINE lanes_u16 widen_u16(const uint8_t *x) {
    return (lanes_u16)_mm256_cvtepu8_epi16(load_bytes(x));
}
AVX512_INLINE lanes_u16 extend_u16(const uint8_t *x) {
    return (lanes_u16)_mm256_cvtepi8_epi16(load_bytes(x));
}
AVX512_INLINE lanes_i32 widen_i32(const uint8_t *x) {
    return (lanes_i32)_mm512_cvtepu8_epi32(load_bytes(x));
}
AVX512_INLINE lanes_i32 extend_i32(const uint8_t *x) {
    return (lanes_i32)_mm512_cvtepi8_epi32(load_bytes(x));
}
AVX512_INLINE lanes_f32 halves_f32(lanes_u16 x) { return (lanes_f32)_mm512_cvtph_ps((__m256i)x); }
AVX512_INLINE lanes_f32 integers_f32(lanes_i32 x) {
    return (lanes_f32)_mm512_cvtepi32_ps((__m512i)x);
}
AVX512_INLINE lanes_i32 larger_i32(lanes_i32 a, lanes_i32 b) {
    return (lanes_i32)_mm512_max_epi32((__m512i)a, (__m512i)b);
}

// The sixteen values as BF16, twice: the look-up takes five bits, of which the last belongs to the next
// nibble. A look-up of words gives columns j and 4 + j at once.
AVX512_INLINE void expand_e2m1(lanes_f32 v[8], const uint8_t *codes) {
    const __m512i table = _mm512_broadcast_i64x4(_mm256_setr_epi16(
        0, 0x3F00, 0x3F80, 0x3FC0, 0x4000, 0x4040, 0x4080, 0x40C0, (short)0x8000, (short)0xBF00,
        (short)0xBF80, (short)0xBFC0, (short)0xC000, (short)0xC040, (short)0xC080, (short)0xC0C0));
    __m512i words = _mm512_loadu_si512(codes);
    const __m512i upper = _mm512_set1_epi32((int)0xFFFF0000);
#define PAIR(j)                                                                                  \
    do {                                                                                         \
        __m512i pair = _mm512_permutexvar_epi16(_mm512_srli_epi16(words, 4 * j), table);         \
        v[j] = (lanes_f32)_mm512_slli_epi32(pair, 16);                                           \
        v[4 + j] = (lanes_f32)_mm512_and_si512(pair, upper);                                     \
    } while (0)
    PAIR(0);
    PAIR(1);
    PAIR(2);
    PAIR(3);
#undef PAIR
}

#include "packed_lanes.h"
#endif
