// The twins of BF16 products; not part of the public interface but visible to dispatch.
#pragma once
#include "qat_product.h"

void qat_pack_bf16_avx512(uint32_t *panels, const qat_product_source *source, size_t width,
                          size_t first, size_t last);
void qat_transpose_bf16_avx512(uint32_t *transposed, const qat_product_panels *source, size_t first,
                          size_t last);
void qat_product_bf16_avx512(const qat_product *product, size_t first_row, size_t last_row,
                             size_t first_column, size_t last_column);
