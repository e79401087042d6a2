// Where packed weights have what, and what a code counts; not part of the public interface.
#pragma once
#include <string.h>
#include "qat_packed.h"
#include "qat_quantize.h"

#define QAT_DECLARE_PACKED(isa)                                                                  \
    void qat_product_packed_##isa(const qat_packed_weight *weight, const float *packed_inputs,   \
                                  size_t count, float *y, size_t stride, size_t first,           \
                                  size_t last, float *scratch);
#if defined(__x86_64__)
QAT_DECLARE_PACKED(avx2)
QAT_DECLARE_PACKED(avx512)
#elif defined(__aarch64__)
QAT_DECLARE_PACKED(neon)
#endif

// Columns of a block.
static inline size_t qat_packed_block(const qat_packed_weight *w) {
    return w->steps == QAT_STEPS_ONE ? QAT_TILE_BLOCK : w->block;
}

// Inputs of the group that begins with input `first` of `count`.
static inline size_t qat_input_group(size_t count, size_t first) {
    size_t left = count - first;
    return left >= 5 ? 8 : left >= 3 ? 4 : left;
}

// The code of a row r of a tile and a column of the weight.
static inline uint32_t qat_packed_code(const qat_packed_weight *w, size_t tile, size_t r, size_t column) {
    size_t group = tile * qat_tile_groups(w->columns) + column / QAT_TILE_COLUMNS;
    size_t c = column % QAT_TILE_COLUMNS;
    const uint8_t *codes = w->codes + group * qat_packed_group_bytes(w->element);
    uint16_t half;
    uint32_t word;
    switch (w->element) {
        case QAT_PACKED_E2M1: return codes[4 * r + c / 2] >> (4 * (c % 2)) & 15;
        case QAT_PACKED_E2M3:
        case QAT_PACKED_E3M2: {
            const uint8_t *high = w->high + group * qat_packed_high_bytes(w->element);
            uint32_t upper = high[c / 4 * 16 + r] >> (c % 4);
            uint32_t lower = codes[c / 2 * 16 + r] >> (4 * (c % 2)) & 15;
            return lower | (upper & 1) << 4 | (upper >> 4 & 1) << 5;
        }
        case QAT_PACKED_BF16:
        case QAT_PACKED_F16:
            memcpy(&half, codes + (c / 2 * 16 + r) * 4 + c % 2 * 2, sizeof half);
            return half;
        case QAT_PACKED_F32:
            memcpy(&word, codes + (c * 16 + r) * 4, sizeof word);
            return word;
        default: return codes[c * 16 + r];
    }
}

// The value of a code.
float qat_packed_value(uint32_t code, qat_packed_element element);
// The value of a block's scale for row r of a tile.
float qat_packed_step(const qat_packed_weight *w, size_t tile, size_t r, size_t block);
