// The twins of attention over cached rows; not part of the public interface.
#pragma once
#include "qat_cached_attention.h"

#define QAT_DECLARE_CACHED_ATTENTION(isa)                                                      \
    void qat_dot_rows_f32_##isa(float *scores, const float *q, const float *rows, size_t n,    \
                                size_t stride, size_t dimension);                              \
    void qat_mix_rows_f32_##isa(float *out, const float *p, const float *rows, size_t n,       \
                                size_t stride, size_t dimension);

#if defined(__x86_64__)
QAT_DECLARE_CACHED_ATTENTION(avx2)
QAT_DECLARE_CACHED_ATTENTION(avx512)
#elif defined(__aarch64__)
QAT_DECLARE_CACHED_ATTENTION(neon)
#endif
