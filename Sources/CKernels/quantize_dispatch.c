// Picks the twin of each quantization kernel at run time.
#include "dispatch.h"
#include "quantize_scalar.h"

float qat_amax_f32(const float *src, size_t count) {
#if QAT_HAS_AVX2
    if (qat_uses_avx2()) return qat_amax_f32_avx2(src, count);
#endif
    return qat_amax_f32_ref(src, count);
}

void qat_fake_quantize_mx_f32_avx2(float *dst, const float *src, size_t count, size_t block,
                                   const qat_block_format *format);

void qat_fake_quantize_f32(float *dst, const float *src, size_t count, size_t block,
                           const qat_block_format *format) {
#if QAT_HAS_AVX2
    if (qat_uses_avx2() && format->scales == QAT_SCALES_E8M0 && format->tie == QAT_TIE_EVEN &&
        block % 8 == 0) {
        qat_fake_quantize_mx_f32_avx2(dst, src, count, block, format);
        return;
    }
#endif
    qat_fake_quantize_f32_ref(dst, src, count, block, format);
}

void qat_quantize_f32(uint8_t *codes, uint8_t *scales, const float *src, size_t count,
                      size_t block, const qat_block_format *format) {
    qat_quantize_f32_ref(codes, scales, src, count, block, format);
}

void qat_dequantize_f32(float *dst, const uint8_t *codes, const uint8_t *scales, size_t count,
                        size_t block, const qat_block_format *format) {
    qat_dequantize_f32_ref(dst, codes, scales, count, block, format);
}
