// What rounding does to a tensor beyond the error: where scales do not fit.
#pragma once
#include "qat_quantize.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint64_t saturated;  // elements beyond the largest value that their scale can hold
    uint64_t collapsed;  // blocks with non-zero values that all round to zero
    uint64_t blocks;     // blocks with non-zero values
} qat_scale_use;

// Adds to `use` for blocks of `values` under `scales` (one byte per block; unused with
// QAT_SCALES_F32). count is a multiple of block.
void qat_count_scale_use_f32(qat_scale_use *use, const float *values, const uint8_t *scales,
                             size_t count, size_t block, const qat_block_format *format);

#ifdef __cplusplus
}
#endif
