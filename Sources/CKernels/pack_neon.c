// NEON twins of packing; what is left of a vector goes through the reference.
#if defined(__aarch64__)
#include <arm_neon.h>
#include "quantize_twins.h"

// Loads and stores that part every second, third or fourth byte put the codes that meet in a byte
// into the same lane; shift-and-insert joins them.

void qat_pack_nibbles_neon(uint8_t *packed, const uint8_t *codes, size_t count) {
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        uint8x16x2_t c = vld2q_u8(codes + i);
        vst1q_u8(packed + i / 2, vsliq_n_u8(c.val[0], c.val[1], 4));
    }
    qat_pack_nibbles_ref(packed + i / 2, codes + i, count - i);
}

void qat_unpack_nibbles_neon(uint8_t *codes, const uint8_t *packed, size_t count) {
    size_t i = 0;
    for (; i + 32 <= count; i += 32) {
        uint8x16_t bytes = vld1q_u8(packed + i / 2);
        uint8x16x2_t c = {{vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8(bytes, 4)}};
        vst2q_u8(codes + i, c);
    }
    qat_unpack_nibbles_ref(codes + i, packed + i / 2, count - i);
}

void qat_pack_sextets_neon(uint8_t *packed, const uint8_t *codes, size_t count) {
    size_t i = 0, o = 0;
    for (; i + 64 <= count; i += 64, o += 48) {
        uint8x16x4_t c = vld4q_u8(codes + i);
        uint8x16x3_t bytes;
        bytes.val[0] = vsliq_n_u8(c.val[0], c.val[1], 6);
        bytes.val[1] = vsliq_n_u8(vshrq_n_u8(c.val[1], 2), c.val[2], 4);
        bytes.val[2] = vsliq_n_u8(vshrq_n_u8(c.val[2], 4), c.val[3], 2);
        vst3q_u8(packed + o, bytes);
    }
    qat_pack_sextets_ref(packed + o, codes + i, count - i);
}

void qat_unpack_sextets_neon(uint8_t *codes, const uint8_t *packed, size_t count) {
    const uint8x16_t sextet = vdupq_n_u8(63);
    size_t i = 0, o = 0;
    for (; i + 64 <= count; i += 64, o += 48) {
        uint8x16x3_t bytes = vld3q_u8(packed + o);
        uint8x16x4_t c;
        c.val[0] = vandq_u8(bytes.val[0], sextet);
        c.val[1] = vandq_u8(vsliq_n_u8(vshrq_n_u8(bytes.val[0], 6), bytes.val[1], 2), sextet);
        c.val[2] = vandq_u8(vsliq_n_u8(vshrq_n_u8(bytes.val[1], 4), bytes.val[2], 4), sextet);
        c.val[3] = vshrq_n_u8(bytes.val[2], 2);
        vst4q_u8(codes + i, c);
    }
    qat_unpack_sextets_ref(codes + i, packed + o, count - i);
}
#endif
