// NEON twins of the block quantization kernels.
#if defined(__aarch64__)
#include <arm_neon.h>
#include <string.h>
#include "quantize_twins.h"

#define LANES 4
#define LANES_TARGET  // NEON is part of the architecture
#define LANES_NAME(kernel) kernel##_neon
#define NEON_INLINE static inline __attribute__((always_inline))

typedef float lanes_f32 __attribute__((vector_size(16)));
typedef int32_t lanes_i32 __attribute__((vector_size(16)));
typedef double lanes_f64 __attribute__((vector_size(32)));

NEON_INLINE lanes_f32 set_f32(float x) { return (lanes_f32)vdupq_n_f32(x); }
NEON_INLINE lanes_i32 set_i32(int32_t x) { return (lanes_i32)vdupq_n_s32(x); }
NEON_INLINE lanes_f32 load_f32(const float *src) { return (lanes_f32)vld1q_f32(src); }
NEON_INLINE void store_f32(float *dst, lanes_f32 x) { vst1q_f32(dst, (float32x4_t)x); }
NEON_INLINE lanes_f32 convert_f32(lanes_i32 x) { return (lanes_f32)vcvtq_f32_s32((int32x4_t)x); }

// A macro: vectors wider than the registers do not pass through functions.
#define widen_f64(x) __builtin_convertvector(x, lanes_f64)

NEON_INLINE lanes_i32 load_codes(const uint8_t *src) {
    uint32_t word;
    memcpy(&word, src, sizeof word);
    uint16x8_t wide = vmovl_u8(vcreate_u8(word));
    return (lanes_i32)vmovl_u16(vget_low_u16(wide));
}

NEON_INLINE void store_codes(uint8_t *dst, lanes_i32 codes) {
    uint16x4_t words = vmovn_u32((uint32x4_t)codes);
    uint8x8_t bytes = vmovn_u16(vcombine_u16(words, words));
    uint32_t word = vget_lane_u32(vreinterpret_u32_u8(bytes), 0);
    memcpy(dst, &word, sizeof word);
}

NEON_INLINE void store_codes4(uint8_t *dst, lanes_i32 a, lanes_i32 b, lanes_i32 c, lanes_i32 d) {
    // Even 16-bit halves of two vectors, then even bytes: the low byte of each lane.
    uint16x8_t ab = vuzp1q_u16((uint16x8_t)a, (uint16x8_t)b);
    uint16x8_t cd = vuzp1q_u16((uint16x8_t)c, (uint16x8_t)d);
    vst1q_u8(dst, vuzp1q_u8((uint8x16_t)ab, (uint8x16_t)cd));
}

// The instruction gives NaN where either operand is.
NEON_INLINE lanes_f32 smaller_f32(lanes_f32 limit, lanes_f32 a) {
    return (lanes_f32)vminq_f32((float32x4_t)limit, (float32x4_t)a);
}

NEON_INLINE lanes_i32 larger_i32(lanes_i32 a, lanes_i32 b) {
    return (lanes_i32)vmaxq_s32((int32x4_t)a, (int32x4_t)b);
}

NEON_INLINE int32_t largest_i32(lanes_i32 x) { return vmaxvq_s32((int32x4_t)x); }

#include "block_quantize_lanes.h"
#endif
