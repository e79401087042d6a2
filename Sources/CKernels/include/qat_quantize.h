// Block-scaled low-precision formats: quantize to codes, dequantize, fake quantize.
//
// A block is `block` consecutive floats that share one scale. Kernels allocate nothing, keep no
// state and never read outside [src, src + count). src and dst must not overlap unless they are
// equal. `_ref` is the specification; the name without a suffix picks the fastest twin at run time.
// Formats: OCP Microscaling (MX) v1.0; NVFP4 as NVIDIA ModelOpt writes it.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// An element type as rounding sees it: magnitudes are multiples of 2^(e - mantissa_bits), where
// 2^e is the value's own power of two, but at least 2^min_exponent, and at most max_value.
// int8 of MXINT8 is the case min_exponent 0, mantissa_bits 6: a fixed step of 1/64.
typedef struct {
    int32_t mantissa_bits;
    int32_t min_exponent;
    int32_t emax;     // exponent of the largest power of two the element holds
    float max_value;  // largest finite magnitude
    int32_t bits;     // storage bits of a code
    int32_t is_int;   // 1: two's complement code in steps of 2^-mantissa_bits
} qat_element;

enum { QAT_SCALE_FLOOR, QAT_SCALE_EVEN, QAT_SCALE_EVEN_CT, QAT_SCALE_CEIL, QAT_SCALE_RCEIL };
enum { QAT_TIE_EVEN, QAT_TIE_AWAY, QAT_TIE_ZERO };

// The E8M0 byte of a block whose largest magnitude is amax; 255 for NaN or infinity, 0 for zero.
uint8_t qat_scale_e8m0(float amax, const qat_element *element, int scale_mode);

// 2^(byte - 127); byte 0 gives the subnormal 2^-127, byte 255 NaN.
float qat_decode_e8m0(uint8_t byte);

// E4M3 (bias 7, no infinity): encode rounds to nearest even and saturates at 448; decode is exact.
uint8_t qat_encode_e4m3(float value);
float qat_decode_e4m3(uint8_t byte);

// max |x|; NaN or infinity if any element is.
float qat_amax_f32(const float *src, size_t count);
float qat_amax_f32_ref(const float *src, size_t count);
float qat_amax_f32_avx2(const float *src, size_t count);

// dst = dequantize(quantize(src)) per block with E8M0 scales; count is a multiple of block.
// A block with a NaN or an infinity becomes NaN throughout.
void qat_fake_quantize_mx_f32(float *dst, const float *src, size_t count, size_t block,
                              const qat_element *element, int scale_mode, int tie);
void qat_fake_quantize_mx_f32_ref(float *dst, const float *src, size_t count, size_t block,
                                  const qat_element *element, int scale_mode, int tie);
// Ties to even only; block a multiple of 8.
void qat_fake_quantize_mx_f32_avx2(float *dst, const float *src, size_t count, size_t block,
                                   const qat_element *element, int scale_mode);

// Zeroes gradient[i] where src[i] lies beyond the largest value its block scale can hold: the
// clipped straight-through estimator.
void qat_mask_saturated_mx_f32(float *gradient, const float *src, size_t count, size_t block,
                               const qat_element *element, int scale_mode);

// qat_fake_quantize_mx_f32 with NVFP4's two-level scale: block scale E4M3(clamp((amax/6)/global, 2^-9, 448)).
void qat_fake_quantize_nvfp4_f32(float *dst, const float *src, size_t count, size_t block,
                                 float global_scale);

// codes: one byte per element (sign in the top bit of `bits`); scales: one byte per block.
void qat_quantize_mx_f32(uint8_t *codes, uint8_t *scales, const float *src, size_t count,
                         size_t block, const qat_element *element, int scale_mode, int tie);
void qat_quantize_nvfp4_f32(uint8_t *codes, uint8_t *scales, const float *src, size_t count,
                            size_t block, float global_scale);

// dst = value(code) * scale.
void qat_dequantize_mx_f32(float *dst, const uint8_t *codes, const uint8_t *scales, size_t count,
                           size_t block, const qat_element *element);
void qat_dequantize_nvfp4_f32(float *dst, const uint8_t *codes, const uint8_t *scales,
                              size_t count, size_t block, float global_scale);

// 4-bit codes, two a byte, low nibble first; count is even.
void qat_pack_nibbles(uint8_t *packed, const uint8_t *codes, size_t count);
void qat_unpack_nibbles(uint8_t *codes, const uint8_t *packed, size_t count);
// 6-bit codes, four in three bytes, little-endian; count is a multiple of 4.
void qat_pack_sextets(uint8_t *packed, const uint8_t *codes, size_t count);
void qat_unpack_sextets(uint8_t *codes, const uint8_t *packed, size_t count);

#ifdef __cplusplus
}
#endif
