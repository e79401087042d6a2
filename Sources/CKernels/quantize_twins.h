// The fast twins of the quantization kernels; not part of the public interface. Contracts are those
// of the kernels without a suffix.
#pragma once
#include "qat_ptq.h"
#include "qat_quantize.h"

#define QAT_DECLARE_TWINS(isa)                                                                    \
    float qat_amax_f32_##isa(const float *src, size_t count);                                     \
    uint8_t qat_scale_of_block_f32_##isa(const float *block, size_t count, float amax,            \
                                         const qat_block_format *format);                         \
    void qat_round_values_f32_##isa(float *dst, const float *src, size_t count, float step,       \
                                    const qat_block_format *format);                              \
    void qat_encode_values_f32_##isa(uint8_t *codes, const float *src, size_t count, float step,  \
                                     const qat_block_format *format);                             \
    void qat_fake_quantize_f32_##isa(float *dst, const float *src, size_t count, size_t block,    \
                                     const qat_block_format *format);                             \
    void qat_fake_quantize_scaled_f32_##isa(float *dst, const float *src, const uint8_t *scales,  \
                                            size_t count, size_t block,                           \
                                            const qat_block_format *format);                      \
    void qat_fake_quantize_random_f32_##isa(float *dst, const float *src, const uint8_t *scales,  \
                                            size_t count, size_t block,                           \
                                            const qat_block_format *format, uint32_t seed,        \
                                            size_t first);                                        \
    void qat_scale_gradient_f32_##isa(float *gradient, const float *rounded_gradient,             \
                                      const float *src, const uint8_t *scales, size_t count,      \
                                      size_t block, float factor,                                 \
                                      const qat_block_format *format);                            \
    void qat_fake_quantize_offset_f32_##isa(float *dst, const float *src, const float *offsets,   \
                                            const uint8_t *scales, size_t count, size_t block,    \
                                            const qat_block_format *format);                      \
    void qat_learn_rounding_f32_##isa(float *offsets, float *factors, uint8_t *scales,            \
                                      const float *gradient, const float *src,                    \
                                      const float *steps, size_t count, size_t block,             \
                                      const qat_rounding_step *step,                              \
                                      const qat_block_format *format);                            \
    void qat_quantize_f32_##isa(uint8_t *codes, uint8_t *scales, const float *src, size_t count,  \
                                size_t block, const qat_block_format *format);                    \
    void qat_dequantize_f32_##isa(float *dst, const uint8_t *codes, const uint8_t *scales,        \
                                  size_t count, size_t block, const qat_block_format *format);    \
    void qat_measure_steps_f32_##isa(double *errors, const float *steps, size_t count,            \
                                     const float *x, size_t block, const float *importance,       \
                                     const qat_block_format *format);                             \
    void qat_pack_nibbles_##isa(uint8_t *packed, const uint8_t *codes, size_t count);             \
    void qat_unpack_nibbles_##isa(uint8_t *codes, const uint8_t *packed, size_t count);           \
    void qat_pack_sextets_##isa(uint8_t *packed, const uint8_t *codes, size_t count);             \
    void qat_unpack_sextets_##isa(uint8_t *codes, const uint8_t *packed, size_t count);

#if defined(__x86_64__)
QAT_DECLARE_TWINS(avx2)
#elif defined(__aarch64__)
QAT_DECLARE_TWINS(neon)
#endif
