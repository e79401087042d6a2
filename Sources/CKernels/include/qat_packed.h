// Products with weights that stay packed: y = W x for a few x (decoding) and for many (prompts).
//
// A weight W [rows, columns] lies in tiles of QAT_TILE_ROWS rows, so that a vector's lanes are rows and no
// sum goes across lanes. Within a tile, columns go in groups of QAT_TILE_COLUMNS; what lies beyond the
// last row or column is zero. A group's bytes, r being the row in the tile and c the column in the group:
//   4 bits    [16 r][4]: column c is nibble c of a row's four bytes, low nibbles first
//   6 bits    low [4][16 r]: bits 0...3 of column 2i, and of 2i + 1 in the high nibble
//             high [2][16 r]: bit 4 of column 4i + j is bit j, its bit 5 is bit 4 + j
//   8 bits    [8 c][16 r]
//   16 bits   [4][16 r][2]: columns 2i and 2i + 1
//   32 bits   [8 c][16 r]
// Block scales are [tile][column / block][16 r], a byte each.
//
// What a product is, to the bit, for every twin, any number of x and any division of the work: an
// element's sum depends on its row of W and its x alone.
//   s     = 0; for each column k of a block in order: s = fma(v(k), x(k), s)
//   total = 0; for each block in order: total = fma(step, s * unit, total)
//   y     = total * factor
// v is what a code counts by `unit`, a power of two (qat_packed_unit); step the block's scale, 1 where
// there is none; factor the row's FP32 scale. Without scales a block is QAT_TILE_BLOCK columns. FP32 and
// nothing flushed. Under powers of two this is the product of the dequantized weight, in the same order.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { QAT_TILE_ROWS = 16, QAT_TILE_COLUMNS = 8, QAT_TILE_BLOCK = 32, QAT_TILE_MAX_BLOCK = 128 };
// x that are multiplied at once; more are taken in groups.
enum { QAT_TILE_INPUTS = 8 };

typedef enum {
    QAT_PACKED_E2M1,
    QAT_PACKED_E2M3,
    QAT_PACKED_E3M2,
    QAT_PACKED_E4M3,
    QAT_PACKED_E5M2,
    QAT_PACKED_INT8,
    QAT_PACKED_BF16,
    QAT_PACKED_F16,
    QAT_PACKED_F32,
} qat_packed_element;

typedef enum { QAT_STEPS_ONE, QAT_STEPS_E8M0, QAT_STEPS_E4M3 } qat_packed_steps;

// codes, high and scales begin on 64-byte boundaries, and 64 bytes may be read behind each.
typedef struct {
    const uint8_t *codes;
    const uint8_t *high;    // of 6-bit codes: their upper two bits
    const uint8_t *scales;  // none is NaN; not read with QAT_STEPS_ONE
    const float *factors;   // one per row, rounded up to whole tiles
    size_t rows, columns;
    size_t block;  // columns under a scale: a multiple of 8, at most QAT_TILE_MAX_BLOCK
    qat_packed_element element;
    qat_packed_steps steps;
} qat_packed_weight;

// What v is counted in: the codes of narrow floats are read as FP16 of another bias.
float qat_packed_unit(qat_packed_element element);
// Bytes of a group of columns of a tile, and of its upper bits where those lie apart.
size_t qat_packed_group_bytes(qat_packed_element element);
size_t qat_packed_high_bytes(qat_packed_element element);

static inline size_t qat_tile_count(size_t rows) {
    return (rows + QAT_TILE_ROWS - 1) / QAT_TILE_ROWS;
}
static inline size_t qat_tile_groups(size_t columns) {
    return (columns + QAT_TILE_COLUMNS - 1) / QAT_TILE_COLUMNS;
}

// Puts a tile's rows, `count` of them, into `codes` (and `high`). `source`: As files have them, row by row
// `source_stride` bytes apart: 4 bits low nibble first, 6 bits four codes in three little-endian bytes,
// others a code each; columns are a multiple of 2 for 4 bits and of 4 for 6 bits. The tile is overwritten.
void qat_tile_codes(uint8_t *codes, uint8_t *high, const uint8_t *source, size_t source_stride,
                    size_t count, size_t columns, qat_packed_element element);
// The same of block scales, `blocks` per row; 1 where there is no row.
void qat_tile_scales(uint8_t *scales, const uint8_t *source, size_t count, size_t blocks,
                     qat_packed_steps steps);

// Writes values as BF16 or FP16, and says whether all of them are finite and exactly what was written.
int qat_narrow_exactly(uint16_t *halves, const float *values, size_t count,
                       qat_packed_element element);

// The row's values as qat_dequantize_f32 gives them: value * (step * factor), rounded twice.
void qat_unpack_row(float *row, const qat_packed_weight *weight, size_t index);

// Floats that `count` inputs take as products read them.
size_t qat_packed_input_count(size_t count, size_t columns);
// Puts inputs, `stride` floats apart, into that form: groups of QAT_TILE_INPUTS, the last of 1, 2, 4 or 8,
// each [columns rounded up to 8][inputs of the group], zero where there is none.
void qat_pack_inputs(float *packed, const float *inputs, size_t stride, size_t count, size_t columns);

// Floats of memory that a product of so many inputs needs, each thread its own; 0 of up to QAT_TILE_INPUTS.
size_t qat_packed_scratch_count(size_t count);

// Rows of tiles first..<last of y[i] = W x[i], i < count; y[i] begins at y + i * stride.
void qat_product_packed(const qat_packed_weight *weight, const float *packed_inputs, size_t count,
                        float *y, size_t stride, size_t first, size_t last, float *scratch);
void qat_product_packed_ref(const qat_packed_weight *weight, const float *packed_inputs,
                            size_t count, float *y, size_t stride, size_t first, size_t last,
                            float *scratch);

// The twin that this processor takes: avx512, avx2, neon or ref.
const char *qat_packed_twin(void);

#ifdef __cplusplus
}
#endif
