// Picks the twin of each quantization kernel at run time.
#include "dispatch.h"
#include "quantize_twins.h"

#if QAT_HAS_AVX2
#define PICK(name, ...) (qat_uses_avx2() ? name##_avx2(__VA_ARGS__) : name##_ref(__VA_ARGS__))
#elif QAT_HAS_NEON
#define PICK(name, ...) name##_neon(__VA_ARGS__)
#else
#define PICK(name, ...) name##_ref(__VA_ARGS__)
#endif

float qat_amax_f32(const float *src, size_t count) {
    return PICK(qat_amax_f32, src, count);
}

uint8_t qat_scale_of_block_f32(const float *block, size_t count, float amax,
                               const qat_block_format *format) {
    return PICK(qat_scale_of_block_f32, block, count, amax, format);
}

void qat_round_values_f32(float *dst, const float *src, size_t count, float step,
                          const qat_block_format *format) {
    PICK(qat_round_values_f32, dst, src, count, step, format);
}

void qat_encode_values_f32(uint8_t *codes, const float *src, size_t count, float step,
                           const qat_block_format *format) {
    PICK(qat_encode_values_f32, codes, src, count, step, format);
}

void qat_fake_quantize_f32(float *dst, const float *src, size_t count, size_t block,
                           const qat_block_format *format) {
    PICK(qat_fake_quantize_f32, dst, src, count, block, format);
}

void qat_fake_quantize_scaled_f32(float *dst, const float *src, const uint8_t *scales, size_t count,
                                  size_t block, const qat_block_format *format) {
    PICK(qat_fake_quantize_scaled_f32, dst, src, scales, count, block, format);
}

void qat_fake_quantize_random_f32(float *dst, const float *src, const uint8_t *scales, size_t count,
                                  size_t block, const qat_block_format *format, uint32_t seed,
                                  size_t first) {
    PICK(qat_fake_quantize_random_f32, dst, src, scales, count, block, format, seed, first);
}

void qat_scale_gradient_f32(float *gradient, const float *rounded_gradient, const float *src,
                            const uint8_t *scales, size_t count, size_t block, float factor,
                            const qat_block_format *format) {
    PICK(qat_scale_gradient_f32, gradient, rounded_gradient, src, scales, count, block, factor,
         format);
}

void qat_fake_quantize_offset_f32(float *dst, const float *src, const float *offsets,
                                  const uint8_t *scales, size_t count, size_t block,
                                  const qat_block_format *format) {
    PICK(qat_fake_quantize_offset_f32, dst, src, offsets, scales, count, block, format);
}

void qat_learn_rounding_f32(float *offsets, float *factors, uint8_t *scales, const float *gradient,
                            const float *src, const float *steps, size_t count, size_t block,
                            const qat_rounding_step *step, const qat_block_format *format) {
    PICK(qat_learn_rounding_f32, offsets, factors, scales, gradient, src, steps, count, block, step,
         format);
}

void qat_quantize_f32(uint8_t *codes, uint8_t *scales, const float *src, size_t count,
                      size_t block, const qat_block_format *format) {
    PICK(qat_quantize_f32, codes, scales, src, count, block, format);
}

void qat_dequantize_f32(float *dst, const uint8_t *codes, const uint8_t *scales, size_t count,
                        size_t block, const qat_block_format *format) {
    PICK(qat_dequantize_f32, dst, codes, scales, count, block, format);
}

void qat_measure_steps_f32(double *errors, const float *steps, size_t count, const float *x,
                           size_t block, const float *importance, const qat_block_format *format) {
    PICK(qat_measure_steps_f32, errors, steps, count, x, block, importance, format);
}

void qat_pack_nibbles(uint8_t *packed, const uint8_t *codes, size_t count) {
    PICK(qat_pack_nibbles, packed, codes, count);
}

void qat_unpack_nibbles(uint8_t *codes, const uint8_t *packed, size_t count) {
    PICK(qat_unpack_nibbles, codes, packed, count);
}

void qat_pack_sextets(uint8_t *packed, const uint8_t *codes, size_t count) {
    PICK(qat_pack_sextets, packed, codes, count);
}

void qat_unpack_sextets(uint8_t *codes, const uint8_t *packed, size_t count) {
    PICK(qat_unpack_sextets, codes, packed, count);
}
