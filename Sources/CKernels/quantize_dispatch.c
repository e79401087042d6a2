// Picks the twin of each quantization kernel at run time.
#include "dispatch.h"
#include "quantize_scalar.h"

float qat_amax_f32(const float *src, size_t count) {
#if QAT_HAS_AVX2
    if (qat_uses_avx2()) return qat_amax_f32_avx2(src, count);
#endif
    return qat_amax_f32_ref(src, count);
}

void qat_fake_quantize_mx_f32(float *dst, const float *src, size_t count, size_t block,
                              const qat_element *element, int scale_mode, int tie) {
#if QAT_HAS_AVX2
    if (qat_uses_avx2() && tie == QAT_TIE_EVEN && block % 8 == 0) {
        qat_fake_quantize_mx_f32_avx2(dst, src, count, block, element, scale_mode);
        return;
    }
#endif
    qat_fake_quantize_mx_f32_ref(dst, src, count, block, element, scale_mode, tie);
}
