// The specification of products with packed weights.
#include "packed_scalar.h"
#include <math.h>

static float sum(const qat_packed_weight *w, size_t row, const float *x, size_t stride) {
    size_t tile = row / QAT_TILE_ROWS, r = row % QAT_TILE_ROWS, block = qat_packed_block(w);
    size_t columns = qat_tile_groups(w->columns) * QAT_TILE_COLUMNS;
    float unit = qat_packed_unit(w->element), total = 0;
    for (size_t b = 0; b * block < columns; b++) {
        float s = 0;
        for (size_t k = b * block; k < (b + 1) * block && k < columns; k++) {
            float v = qat_packed_value(qat_packed_code(w, tile, r, k), w->element) / unit;
            s = fmaf(v, x[k * stride], s);
        }
        s *= unit;
        total = fmaf(qat_packed_step(w, tile, r, b), s, total);
    }
    return total * w->factors[row];
}

void qat_product_packed_ref(const qat_packed_weight *w, const float *packed_inputs, size_t count,
                            float *y, size_t stride, size_t first, size_t last, float *scratch) {
    (void)scratch;
    size_t columns = qat_tile_groups(w->columns) * QAT_TILE_COLUMNS;
    size_t end = last * QAT_TILE_ROWS < w->rows ? last * QAT_TILE_ROWS : w->rows;
    for (size_t i = 0; i < count; i++) {
        size_t group = i / QAT_TILE_INPUTS * QAT_TILE_INPUTS;
        const float *x = packed_inputs + group * columns + i % QAT_TILE_INPUTS;
        for (size_t row = first * QAT_TILE_ROWS; row < end; row++)
            y[i * stride + row] = sum(w, row, x, qat_input_group(count, group));
    }
}
