// Picks the twin of products with packed weights at run time.
#include "dispatch.h"
#include "packed_scalar.h"

#if defined(__x86_64__)
static int has_avx2(void) { return qat_uses_avx2() && __builtin_cpu_supports("f16c"); }
#endif

const char *qat_packed_twin(void) {
#if defined(__x86_64__)
    return qat_uses_avx512() ? "avx512" : has_avx2() ? "avx2" : "ref";
#elif defined(__aarch64__)
    return "neon";
#else
    return "ref";
#endif
}

void qat_product_packed(const qat_packed_weight *weight, const float *packed_inputs, size_t count,
                        float *y, size_t stride, size_t first, size_t last, float *scratch) {
#if defined(__x86_64__)
    if (qat_uses_avx512())
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
