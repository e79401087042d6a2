// Picks the twin of BF16 products at run time.
#include "product_twins.h"

int qat_has_bf16_product(void) {
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bf16");
#else
    return 0;
#endif
}

void qat_pack_bf16(uint32_t *panels, const qat_product_source *source, size_t width, size_t first,
                   size_t last) {
#if defined(__x86_64__)
    if (qat_has_bf16_product()) {
        qat_pack_bf16_avx512(panels, source, width, first, last);
        return;
    }
#endif
    qat_pack_bf16_ref(panels, source, width, first, last);
}

void qat_transpose_bf16(uint32_t *transposed, const qat_product_panels *source, size_t first, size_t last) {
#if defined(__x86_64__)
    if (qat_has_bf16_product()) {
        qat_transpose_bf16_avx512(transposed, source, first, last);
        return;
    }
#endif
    qat_transpose_bf16_ref(transposed, source, first, last);
}

void qat_product_bf16(const qat_product *product, size_t first_row, size_t last_row,
                      size_t first_column, size_t last_column) {
#if defined(__x86_64__)
    if (qat_has_bf16_product()) {
        qat_product_bf16_avx512(product, first_row, last_row, first_column, last_column);
        return;
    }
#endif
    qat_product_bf16_ref(product, first_row, last_row, first_column, last_column);
}
