// Picks the twin of attention over cached rows at run time.
#include "cached_attention_twins.h"
#include "dispatch.h"

#if defined(__x86_64__)
#define PICK(name, ...)                                           \
    (qat_uses_avx512()  ? name##_avx512(__VA_ARGS__)              \
     : qat_uses_avx2() ? name##_avx2(__VA_ARGS__)                 \
                       : name##_ref(__VA_ARGS__))
#elif defined(__aarch64__)
#define PICK(name, ...) name##_neon(__VA_ARGS__)
#else
#define PICK(name, ...) name##_ref(__VA_ARGS__)
#endif

void qat_dot_rows_f32(float *scores, const float *q, const float *rows, size_t n, size_t stride,
                      size_t dimension) {
    PICK(qat_dot_rows_f32, scores, q, rows, n, stride, dimension);
}

void qat_mix_rows_f32(float *out, const float *p, const float *rows, size_t n, size_t stride,
                      size_t dimension) {
    PICK(qat_mix_rows_f32, out, p, rows, n, stride, dimension);
}
