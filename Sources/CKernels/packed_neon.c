// NEON twins of products with packed weights.
#if defined(__aarch64__)
#include <arm_neon.h>
#include "packed_scalar.h"

#define LANES 4
#define LANES_VECTORS 2
#define LANES_TARGET  // NEON is part of the architecture
#define LANES_NAME(kernel) kernel##_neon
#define NEON_INLINE static inline __attribute__((always_inline))

typedef float lanes_f32 __attribute__((vector_size(16)));
typedef int32_t lanes_i32 __attribute__((vector_size(16)));
typedef uint16_t lanes_u16 __attribute__((vector_size(8)));

NEON_INLINE lanes_f32 set_f32(float x) { return (lanes_f32)vdupq_n_f32(x); }
NEON_INLINE lanes_f32 load_f32(const float *x) { return (lanes_f32)vld1q_f32(x); }
NEON_INLINE void store_f32(float *x, lanes_f32 v) { vst1q_f32(x, (float32x4_t)v); }
NEON_INLINE lanes_f32 fma_f32(lanes_f32 a, lanes_f32 b, lanes_f32 c) {
    return (lanes_f32)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
NEON_INLINE lanes_i32 load_i32(const uint8_t *x) {
    return (lanes_i32)vreinterpretq_s32_u8(vld1q_u8(x));
}
NEON_INLINE uint8x8_t load_bytes(const uint8_t *x) {
    uint32_t word;
    memcpy(&word, x, sizeof word);
    return vcreate_u8(word);
}
NEON_INLINE lanes_u16 widen_u16(const uint8_t *x) {
    return (lanes_u16)vget_low_u16(vmovl_u8(load_bytes(x)));
}
NEON_INLINE lanes_u16 extend_u16(const uint8_t *x) {
    return (lanes_u16)vget_low_s16(vmovl_s8(vreinterpret_s8_u8(load_bytes(x))));
}
NEON_INLINE lanes_i32 widen_i32(const uint8_t *x) {
    return (lanes_i32)vmovl_u16((uint16x4_t)widen_u16(x));
}
NEON_INLINE lanes_i32 extend_i32(const uint8_t *x) {
    return (lanes_i32)vmovl_s16((int16x4_t)extend_u16(x));
}
NEON_INLINE lanes_f32 halves_f32(lanes_u16 x) {
    return (lanes_f32)vcvt_f32_f16(vreinterpret_f16_u16((uint16x4_t)x));
}
NEON_INLINE lanes_f32 integers_f32(lanes_i32 x) { return (lanes_f32)vcvtq_f32_s32((int32x4_t)x); }
NEON_INLINE lanes_i32 larger_i32(lanes_i32 a, lanes_i32 b) {
    return (lanes_i32)vmaxq_s32((int32x4_t)a, (int32x4_t)b);
}

// The two upper bytes of FP32 by look-ups of nibbles; of each row's word, the byte of a column is kept.
NEON_INLINE void expand_e2m1(lanes_f32 v[8], const uint8_t *codes) {
    static const uint8_t tops[16] = {0x00, 0x3F, 0x3F, 0x3F, 0x40, 0x40, 0x40, 0x40,
                                     0x80, 0xBF, 0xBF, 0xBF, 0xC0, 0xC0, 0xC0, 0xC0};
    static const uint8_t nexts[16] = {0x00, 0x00, 0x80, 0xC0, 0x00, 0x40, 0x80, 0xC0,
                                      0x00, 0x00, 0x80, 0xC0, 0x00, 0x40, 0x80, 0xC0};
    uint8x16_t bytes = vld1q_u8(codes), first = vld1q_u8(tops), second = vld1q_u8(nexts);
    uint8x16_t nibbles[2] = {vandq_u8(bytes, vdupq_n_u8(15)), vshrq_n_u8(bytes, 4)};
    for (int odd = 0; odd < 2; odd++) {
        lanes_i32 top = (lanes_i32)vreinterpretq_s32_u8(vqtbl1q_u8(first, nibbles[odd]));
        lanes_i32 next = (lanes_i32)vreinterpretq_s32_u8(vqtbl1q_u8(second, nibbles[odd]));
        for (int i = 0; i < 4; i++) {
            lanes_i32 upper = (top >> (8 * i)) << 24;
            lanes_i32 lower = (next >> (8 * i) & 0xFF) << 16;
            v[2 * i + odd] = (lanes_f32)(upper | lower);
        }
    }
}

#include "packed_lanes.h"
#endif
