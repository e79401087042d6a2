// Between FP32 and BF16, its upper half.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// To nearest, ties to even; NaN stays NaN and becomes quiet. Subnormal values are kept.
void qat_narrow_bf16(uint16_t *dst, const float *src, size_t count);
void qat_narrow_bf16_ref(uint16_t *dst, const float *src, size_t count);
// Exact.
void qat_widen_bf16(float *dst, const uint16_t *src, size_t count);
void qat_widen_bf16_ref(float *dst, const uint16_t *src, size_t count);

#ifdef __cplusplus
}
#endif
