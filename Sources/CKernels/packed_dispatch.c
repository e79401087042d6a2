// Picks the twin of products with packed weights at run time.
#include "packed_scalar.h"

#if defined(__x86_64__)
static int has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
}

static int has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("f16c");
}
#endif

const char *qat_packed_twin(void) {
#if defined(__x86_64__)
    return has_avx512() ? "avx512" : has_avx2() ? "avx2" : "ref";
#elif defined(__aarch64__)
    return "neon";
#else
    return "ref";
#endif
}

void qat_product_packed(const qat_packed_weight *weight, const float *packed_inputs, size_t count,
                        float *y, size_t stride, size_t first, size_t last, float *scratch) {
#if defined(__x86_64__)
    if (has_avx512())
        qat_product_packed_avx512(weight, packed_inputs, count, y, stride, first, last, scratch);
    else if (has_avx2())
        qat_product_packed_avx2(weight, packed_inputs, count, y, stride, first, last, scratch);
    else
        qat_product_packed_ref(weight, packed_inputs, count, y, stride, first, last, scratch);
#elif defined(__aarch64__)
    qat_product_packed_neon(weight, packed_inputs, count, y, stride, first, last, scratch);
#else
    qat_product_packed_ref(weight, packed_inputs, count, y, stride, first, last, scratch);
#endif
}
