// AVX2 twins of packing; what is left of a vector goes through the reference.
#if defined(__x86_64__)
#include <immintrin.h>
#include "quantize_twins.h"

#define AVX2 __attribute__((target("avx2,fma")))

AVX2 void qat_pack_nibbles_avx2(uint8_t *packed, const uint8_t *codes, size_t count) {
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i weights = _mm256_set1_epi16(0x1001);  // low code + 16 * high code
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(codes + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(codes + i + 32));
        a = _mm256_maddubs_epi16(_mm256_and_si256(a, nibble), weights);
        b = _mm256_maddubs_epi16(_mm256_and_si256(b, nibble), weights);
        __m256i bytes = _mm256_permute4x64_epi64(_mm256_packus_epi16(a, b), 0xD8);
        _mm256_storeu_si256((__m256i *)(packed + i / 2), bytes);
    }
    qat_pack_nibbles_ref(packed + i / 2, codes + i, count - i);
}

AVX2 void qat_unpack_nibbles_avx2(uint8_t *codes, const uint8_t *packed, size_t count) {
    const __m256i nibble = _mm256_set1_epi8(15);
    size_t i = 0;
    for (; i + 64 <= count; i += 64) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(packed + i / 2));
        // Interleaving works within halves of 128 bits: the middle quarters change places first.
        bytes = _mm256_permute4x64_epi64(bytes, 0xD8);
        __m256i low = _mm256_and_si256(bytes, nibble);
        __m256i high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
        _mm256_storeu_si256((__m256i *)(codes + i), _mm256_unpacklo_epi8(low, high));
        _mm256_storeu_si256((__m256i *)(codes + i + 32), _mm256_unpackhi_epi8(low, high));
    }
    qat_unpack_nibbles_ref(codes + i, packed + i / 2, count - i);
}

AVX2 void qat_pack_sextets_avx2(uint8_t *packed, const uint8_t *codes, size_t count) {
    const __m256i sextet = _mm256_set1_epi8(63);
    const __m256i pair = _mm256_set1_epi16(0x4001);       // c0 + 64 * c1
    const __m256i quadruple = _mm256_set1_epi32(0x10000001);  // and 4096 times the next two
    const __m256i triples = _mm256_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1,
                                             -1, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1,
                                             -1, -1);
    const __m256i join = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
    size_t i = 0, o = 0;
    for (; i + 32 <= count; i += 32, o += 24) {
        __m256i c = _mm256_loadu_si256((const __m256i *)(codes + i));
        c = _mm256_maddubs_epi16(_mm256_and_si256(c, sextet), pair);
        c = _mm256_shuffle_epi8(_mm256_madd_epi16(c, quadruple), triples);
        c = _mm256_permutevar8x32_epi32(c, join);
        _mm_storeu_si128((__m128i *)(packed + o), _mm256_castsi256_si128(c));
        _mm_storel_epi64((__m128i *)(packed + o + 16), _mm256_extracti128_si256(c, 1));
    }
    qat_pack_sextets_ref(packed + o, codes + i, count - i);
}

AVX2 void qat_unpack_sextets_avx2(uint8_t *codes, const uint8_t *packed, size_t count) {
    // The second half begins at byte 12 and is loaded from byte 8: nothing beyond is read.
    const __m256i triples = _mm256_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1,
                                             4, 5, 6, -1, 7, 8, 9, -1, 10, 11, 12, -1, 13, 14, 15,
                                             -1);
    size_t i = 0, o = 0;
    for (; i + 32 <= count; i += 32, o += 24) {
        __m128i low = _mm_loadu_si128((const __m128i *)(packed + o));
        __m128i high = _mm_loadu_si128((const __m128i *)(packed + o + 8));
        __m256i w = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), triples);
        __m256i first = _mm256_and_si256(w, _mm256_set1_epi32(0x3F));
        __m256i second = _mm256_and_si256(_mm256_slli_epi32(w, 2), _mm256_set1_epi32(0x3F00));
        __m256i third = _mm256_and_si256(_mm256_slli_epi32(w, 4), _mm256_set1_epi32(0x3F0000));
        __m256i fourth = _mm256_and_si256(_mm256_slli_epi32(w, 6), _mm256_set1_epi32(0x3F000000));
        w = _mm256_or_si256(_mm256_or_si256(first, second), _mm256_or_si256(third, fourth));
        _mm256_storeu_si256((__m256i *)(codes + i), w);
    }
    qat_unpack_sextets_ref(codes + i, packed + o, count - i);
}
#endif
