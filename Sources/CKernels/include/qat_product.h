// Matrix products of BF16 operands with FP32 sums: c[M, N] (+)= alpha * a[M, K] * b[K, N].
//
// Operands are packed into panels first. A panel holds W consecutive items (rows of a, columns of b)
// as [K/2][W] words of 32 bits: element 2k of the item in the low half, 2k+1 in the high half, both
// BF16, rounded to nearest, ties to even. Items beyond the last and, for an odd K, the element beyond
// it are zero. Panels of a are QAT_PRODUCT_ROWS wide, those of b QAT_PRODUCT_COLUMNS.
//
// An element of c is summed over k in one order, whatever M, N and the panels computed at once are:
// in blocks of at most QAT_PRODUCT_DEPTH values of k; in a block pair by pair, the high element of a
// pair first, each addition rounded to FP32, subnormal operands and sums taken as zero; blocks are
// added to c in their order. That is what the processor's instruction (VDPBF16PS) does; `_ref` is the
// specification, and twins agree with it bit for bit.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { QAT_PRODUCT_ROWS = 14, QAT_PRODUCT_COLUMNS = 32, QAT_PRODUCT_DEPTH = 640 };

// 1 if the processor multiplies BF16 itself; the reference twin is far slower than FP32.
int qat_has_bf16_product(void);

// Panels first..<last of a matrix whose element (item, k) is source[item * item_stride +
// k * depth_stride]; one of both strides is 1. `panels` is where the first panel of all begins.
typedef struct {
    const float *source;
    size_t item_stride, depth_stride;
    size_t items, depth;
} qat_product_source;
void qat_pack_bf16(uint32_t *panels, const qat_product_source *source, size_t width, size_t first,
                   size_t last);
void qat_pack_bf16_ref(uint32_t *panels, const qat_product_source *source, size_t width,
                       size_t first, size_t last);

// The panels of b's other side: those of the matrix whose element (item, k) is b's (k, item), from
// panels QAT_PRODUCT_COLUMNS wide of `items` items of `depth` elements. Panels first..<last of the result,
// whose items are b's elements; `transposed` is where panel `first` begins. Nothing is rounded: what a
// weight's product with an input takes gives what its product with an output's gradient takes.
typedef struct {
    const uint32_t *panels;
    size_t items, depth;
} qat_product_panels;
void qat_transpose_bf16(uint32_t *transposed, const qat_product_panels *source, size_t first, size_t last);
void qat_transpose_bf16_ref(uint32_t *transposed, const qat_product_panels *source, size_t first,
                       size_t last);

// The part of c that row panels first_row..<last_row and column panels first_column..<last_column
// give. Overwrites c if `accumulate` is 0, else adds to it.
typedef struct {
    const uint32_t *a, *b;
    float *c;
    size_t c_stride;
    size_t rows, columns, depth;
    float alpha;
    int accumulate;
} qat_product;
void qat_product_bf16(const qat_product *product, size_t first_row, size_t last_row,
                      size_t first_column, size_t last_column);
void qat_product_bf16_ref(const qat_product *product, size_t first_row, size_t last_row,
                          size_t first_column, size_t last_column);

// Words that the panels of an operand take.
static inline size_t qat_product_words(size_t items, size_t depth, size_t width) {
    return (items + width - 1) / width * width * ((depth + 1) / 2);
}

// Values of k in a block: blocks are even and of equal size but the last.
static inline size_t qat_product_block(size_t depth) {
    size_t count = (depth + QAT_PRODUCT_DEPTH - 1) / QAT_PRODUCT_DEPTH;
    return count ? ((depth + count - 1) / count + 1) / 2 * 2 : 2;
}

#ifdef __cplusplus
}
#endif
