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
// Of E2M1 under E4M3 scales: a block's largest magnitude becomes 6 or 4, whichever has the smaller
// squared error; see qat_scale_of_block_f32.
enum { QAT_SCALE_FOUR_OVER_SIX = QAT_SCALE_RCEIL + 1 };
enum { QAT_TIE_EVEN, QAT_TIE_AWAY, QAT_TIE_ZERO };

// How scales are stored: an E8M0 byte per block; an E4M3 byte per block under one FP32 scale
// (NVFP4's two levels); or the FP32 scale alone.
enum { QAT_SCALES_E8M0, QAT_SCALES_E4M3, QAT_SCALES_F32 };

// A number format with its rounding rules.
typedef struct {
    qat_element element;
    int32_t scales;      // QAT_SCALES_…
    int32_t scale_mode;  // QAT_SCALE_…, for E8M0; QAT_SCALE_FOUR_OVER_SIX for E4M3
    int32_t tie;         // QAT_TIE_…
    float global_scale;  // the FP32 scale, > 0 or 0 of a tensor of zeros; unused with E8M0
} qat_block_format;

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

// The scale byte of a block whose largest magnitude is amax; 0 with QAT_SCALES_F32.
// E8M0: qat_scale_e8m0. E4M3: E4M3(clamp((amax / max_value) / global_scale, 2^-9, 448)).
uint8_t qat_scale_of_amax(float amax, const qat_block_format *format);

// The scale byte of a block whose largest magnitude is at most amax: qat_scale_of_amax. Under
// QAT_SCALE_FOUR_OVER_SIX (arXiv 2512.02010) E4M3(clamp((amax / 4) / global_scale, 2^-9, 448)) if that
// has a smaller squared error, summed as qat_measure_steps_f32 does.
uint8_t qat_scale_of_block_f32(const float *block, size_t count, float amax,
                               const qat_block_format *format);
uint8_t qat_scale_of_block_f32_ref(const float *block, size_t count, float amax,
                                   const qat_block_format *format);

// The real value of one code step: 2^(scale - 127); E4M3(scale) * global_scale; global_scale.
float qat_step_of_scale(uint8_t scale, const qat_block_format *format);

// Rounds to multiples of a given step: round(|x| / step) * step with the sign of x; int8 has one
// zero. All is zero under a step that is not positive.
void qat_round_values_f32(float *dst, const float *src, size_t count, float step,
                          const qat_block_format *format);
void qat_round_values_f32_ref(float *dst, const float *src, size_t count, float step,
                              const qat_block_format *format);

// The codes of values, which are no NaN, under a given step.
void qat_encode_values_f32(uint8_t *codes, const float *src, size_t count, float step,
                           const qat_block_format *format);
void qat_encode_values_f32_ref(uint8_t *codes, const float *src, size_t count, float step,
                               const qat_block_format *format);

// dst = dequantize(quantize(src)); count is a multiple of block, each block under its own scale.
// A block with a NaN or an infinity becomes NaN throughout, as does all under a scale that is one.
// Elements are rounded as qat_round_values_f32 does.
void qat_fake_quantize_f32(float *dst, const float *src, size_t count, size_t block,
                           const qat_block_format *format);
void qat_fake_quantize_f32_ref(float *dst, const float *src, size_t count, size_t block,
                               const qat_block_format *format);

// The same under scales that were found beforehand, one byte per block (unused with QAT_SCALES_F32):
// values beyond what a block's scale holds become the largest that it does.
void qat_fake_quantize_scaled_f32(float *dst, const float *src, const uint8_t *scales, size_t count,
                                  size_t block, const qat_block_format *format);
void qat_fake_quantize_scaled_f32_ref(float *dst, const float *src, const uint8_t *scales,
                                      size_t count, size_t block, const qat_block_format *format);

// The same as both, but each element goes to one of the two values of the grid around it at random, to
// either as often as it is near: right in the mean, but for values beyond what the block's scale holds.
// Scales are found, to nearest, where `scales` is NULL. Random bits are drawn from `seed` and an element's
// place, `first` being that of the first: they do not depend on how a tensor is divided.
void qat_fake_quantize_random_f32(float *dst, const float *src, const uint8_t *scales, size_t count,
                                  size_t block, const qat_block_format *format, uint32_t seed,
                                  size_t first);
void qat_fake_quantize_random_f32_ref(float *dst, const float *src, const uint8_t *scales,
                                      size_t count, size_t block, const qat_block_format *format,
                                      uint32_t seed, size_t first);

// gradient[b] = factor * sum over a block of rounded_gradient * d(rounded)/d(step), as LSQ has it (Esser
// et al. 2020): of x = |src| / step, round(x) - x, with the sign of src, or the largest element from
// there on. `rounded_gradient` is that of what qat_fake_quantize_scaled_f32 gives; values are finite.
// Eight sums of each eighth product in double precision, added in a fixed order.
void qat_scale_gradient_f32(float *gradient, const float *rounded_gradient, const float *src,
                            const uint8_t *scales, size_t count, size_t block, float factor,
                            const qat_block_format *format);
void qat_scale_gradient_f32_ref(float *gradient, const float *rounded_gradient, const float *src,
                                const uint8_t *scales, size_t count, size_t block, float factor,
                                const qat_block_format *format);

// The bytes whose steps are nearest to `steps`, a power of two from halfway on the upper one; `steps` that
// no byte is near become the least or the largest step there is. Not of QAT_SCALES_F32.
void qat_encode_steps_f32(uint8_t *scales, float *steps, size_t count,
                          const qat_block_format *format);

// codes: one byte per element (sign in the top bit of `bits`, or two's complement); scales: one
// byte per block, unused with QAT_SCALES_F32. Values are finite.
void qat_quantize_f32(uint8_t *codes, uint8_t *scales, const float *src, size_t count,
                      size_t block, const qat_block_format *format);
void qat_quantize_f32_ref(uint8_t *codes, uint8_t *scales, const float *src, size_t count,
                          size_t block, const qat_block_format *format);

// dst = value(code) * step.
void qat_dequantize_f32(float *dst, const uint8_t *codes, const uint8_t *scales, size_t count,
                        size_t block, const qat_block_format *format);
void qat_dequantize_f32_ref(float *dst, const uint8_t *codes, const uint8_t *scales, size_t count,
                            size_t block, const qat_block_format *format);

// Zeroes gradient[i] where src[i] lies beyond the largest value its block's E8M0 scale can hold:
// the clipped straight-through estimator.
void qat_mask_saturated_f32(float *gradient, const float *src, size_t count, size_t block,
                            const qat_block_format *format);

// The same under scales that were found beforehand, of any kind.
void qat_mask_saturated_scaled_f32(float *gradient, const float *src, const uint8_t *scales,
                                   size_t count, size_t block, const qat_block_format *format);

// 4-bit codes, two a byte, low nibble first; count is even. Higher bits of codes are ignored.
void qat_pack_nibbles(uint8_t *packed, const uint8_t *codes, size_t count);
void qat_pack_nibbles_ref(uint8_t *packed, const uint8_t *codes, size_t count);
void qat_unpack_nibbles(uint8_t *codes, const uint8_t *packed, size_t count);
void qat_unpack_nibbles_ref(uint8_t *codes, const uint8_t *packed, size_t count);
// 6-bit codes, four in three bytes, little-endian; count is a multiple of 4. Higher bits of codes
// are ignored.
void qat_pack_sextets(uint8_t *packed, const uint8_t *codes, size_t count);
void qat_pack_sextets_ref(uint8_t *packed, const uint8_t *codes, size_t count);
void qat_unpack_sextets(uint8_t *codes, const uint8_t *packed, size_t count);
void qat_unpack_sextets_ref(uint8_t *codes, const uint8_t *packed, size_t count);

#ifdef __cplusplus
}
#endif
