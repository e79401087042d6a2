// Products with packed weights, written once for vectors of any width.
//
// The file that includes this one has defined, for its instruction set:
//   LANES            floats in a vector: 4, 8 or 16, rows of a tile
//   LANES_VECTORS    vectors of rows that are multiplied at once when inputs are many
//   LANES_TARGET     attributes of a function that uses the instructions
//   LANES_NAME(x)    the twin's name of kernel x
//   lanes_f32, lanes_i32, lanes_u16      vectors of LANES floats, 32-bit and 16-bit integers
//   set_f32, load_f32, store_f32         all lanes alike; unaligned
//   fma_f32(a, b, c)                     a * b + c, rounded once
//   load_i32                             LANES words
//   widen_u16, extend_u16, widen_i32, extend_i32   LANES bytes with zeros, or with their sign, on top
//   halves_f32                           FP16 to FP32
//   integers_f32                         integers to FP32
//   larger_i32                           lane by lane
//   expand_e2m1(v, codes)                the eight columns of LANES rows of 4-bit codes
#pragma once
#include "packed_scalar.h"

#define LANES_INLINE static inline __attribute__((always_inline)) LANES_TARGET
// Vectors in an array stay in registers only where loops over it are gone.
#if defined(__clang__)
#define LANES_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LANES_UNROLL _Pragma("GCC unroll 8")
#endif
enum { PREFETCHED = 4096, PAIR_ROWS = 2 * QAT_TILE_ROWS };

// Bits 0...3 from `low` and 4...5 from `high`, as FP16 of E2M3 or E3M2 codes.
LANES_INLINE lanes_f32 sextets_f32(lanes_u16 low, lanes_u16 high, qat_packed_element element) {
    lanes_u16 half = (low & 0x0780) | (high & 0x8800);
    // The sixth bit of E3M2 is its exponent's: magnitudes move up by one.
    if (element == QAT_PACKED_E3M2) half += half & 0x0F80;
    return halves_f32(half);
}

LANES_INLINE void expand_sextets(lanes_f32 v[8], const uint8_t *codes, const uint8_t *high,
                                 qat_packed_element element) {
    LANES_UNROLL
    for (int q = 0; q < 2; q++) {
        lanes_u16 upper = widen_u16(high + 16 * q);
        LANES_UNROLL
        for (int j = 0; j < 2; j++) {
            lanes_u16 lower = widen_u16(codes + 32 * q + 16 * j);
            v[4 * q + 2 * j] = sextets_f32(lower << 7, upper << (11 - 2 * j), element);
            v[4 * q + 2 * j + 1] = sextets_f32(lower << 3, upper << (10 - 2 * j), element);
        }
    }
}

LANES_INLINE lanes_f32 byte_f32(const uint8_t *codes, qat_packed_element element) {
    if (element == QAT_PACKED_INT8) return integers_f32(extend_i32(codes));
    if (element == QAT_PACKED_E5M2) return halves_f32(widen_u16(codes) << 8);
    return halves_f32((extend_u16(codes) << 7) & 0xBF80);
}

LANES_INLINE void expand_pairs(lanes_f32 v[8], const uint8_t *codes, qat_packed_element element) {
    LANES_UNROLL
    for (int i = 0; i < 4; i++) {
        lanes_i32 pair = load_i32(codes + 64 * i);
        if (element == QAT_PACKED_BF16) {
            v[2 * i] = (lanes_f32)(pair << 16);
            v[2 * i + 1] = (lanes_f32)(pair & (int32_t)0xFFFF0000);
        } else {
            v[2 * i] = halves_f32(__builtin_convertvector(pair & 0xFFFF, lanes_u16));
            v[2 * i + 1] = halves_f32(__builtin_convertvector(pair >> 16 & 0xFFFF, lanes_u16));
        }
    }
}

// The values, by their unit, of a group's eight columns of LANES rows from row r on.
LANES_INLINE void expand(lanes_f32 v[8], const uint8_t *codes, const uint8_t *high, size_t r,
                         qat_packed_element element) {
    switch (element) {
        case QAT_PACKED_E2M1: expand_e2m1(v, codes + 4 * r); break;
        case QAT_PACKED_E2M3:
        case QAT_PACKED_E3M2: expand_sextets(v, codes + r, high + r, element); break;
        case QAT_PACKED_BF16:
        case QAT_PACKED_F16: expand_pairs(v, codes + 4 * r, element); break;
        case QAT_PACKED_F32:
            LANES_UNROLL
            for (int c = 0; c < 8; c++) v[c] = (lanes_f32)load_i32(codes + 64 * c + 4 * r);
            break;
        default:
            LANES_UNROLL
            for (int c = 0; c < 8; c++) v[c] = byte_f32(codes + 16 * c + r, element);
    }
}

// The scales of LANES rows.
LANES_INLINE lanes_f32 steps_f32(const uint8_t *scales, qat_packed_steps steps) {
    switch (steps) {
        // Byte 0 is 2^-127, a subnormal number.
        case QAT_STEPS_E8M0: {
            lanes_i32 subnormal = (lanes_i32)set_f32(0x1p-127f);
            return (lanes_f32)larger_i32(widen_i32(scales) << 23, subnormal);
        }
        case QAT_STEPS_E4M3: return byte_f32(scales, QAT_PACKED_E4M3) * set_f32(0x1p8f);
        default: return set_f32(1);
    }
}

// Where a tile lies, and how its columns are divided.
typedef struct {
    const uint8_t *codes, *high, *scales;
    size_t groups, block_groups;
} lanes_tile;

LANES_INLINE lanes_tile tile_at(const qat_packed_weight *w, size_t tile, qat_packed_element element) {
    size_t groups = qat_tile_groups(w->columns), block = qat_packed_block(w);
    lanes_tile t = {
        .codes = w->codes + tile * groups * qat_packed_group_bytes(element),
        .high = w->high + tile * groups * qat_packed_high_bytes(element),
        .scales = w->scales,
        .groups = groups,
        .block_groups = block / QAT_TILE_COLUMNS,
    };
    if (w->steps != QAT_STEPS_ONE) t.scales += tile * (w->columns / block) * QAT_TILE_ROWS;
    return t;
}

// As many of LANES rows as there are.
LANES_INLINE void store_rows(float *y, lanes_f32 values, size_t count) {
    if (count >= LANES) {
        store_f32(y, values);
        return;
    }
    float room[LANES];
    store_f32(room, values);
    memcpy(y, room, count * sizeof *y);
}

// Sums of `chains` blocks of `groups` groups each, from group g on; constant `chains`, `inputs` and
// `element` keep them in registers. A block's sum is one long chain of additions, so two blocks go side by
// side where inputs are too few to keep the processor busy.
LANES_INLINE void sum_blocks(lanes_f32 s[2][QAT_TILE_INPUTS], const lanes_tile *t, size_t g,
                             size_t groups, size_t r, const float *x, int chains, int inputs,
                             qat_packed_element element) {
    size_t bytes = qat_packed_group_bytes(element), high = qat_packed_high_bytes(element);
    LANES_UNROLL
    for (int j = 0; j < chains; j++)
        LANES_UNROLL
        for (int i = 0; i < inputs; i++) s[j][i] = set_f32(0);
    for (size_t end = g + groups; g < end; g++) {
        lanes_f32 v[2][8];
        LANES_UNROLL
        for (int j = 0; j < chains; j++) {
            size_t at = g + (size_t)j * groups;
            if (r == 0)
                for (size_t b = 0; b < bytes; b += 64)
                    __builtin_prefetch(t->codes + at * bytes + b + PREFETCHED);
            expand(v[j], t->codes + at * bytes, t->high + at * high, r, element);
        }
        LANES_UNROLL
        for (int c = 0; c < 8; c++)
            LANES_UNROLL
            for (int j = 0; j < chains; j++) {
                const float *column = x + ((g + (size_t)j * groups) * 8 + (size_t)c) * (size_t)inputs;
                LANES_UNROLL
                for (int i = 0; i < inputs; i++)
                    s[j][i] = fma_f32(v[j][c], set_f32(column[i]), s[j][i]);
            }
    }
}

LANES_INLINE void add_blocks(lanes_f32 total[QAT_TILE_INPUTS], lanes_tile *t, size_t g,
                             size_t groups, size_t r, const float *x, int chains, int inputs,
                             qat_packed_element element, qat_packed_steps steps) {
    lanes_f32 s[2][QAT_TILE_INPUTS], unit = set_f32(qat_packed_unit(element));
    sum_blocks(s, t, g, groups, r, x, chains, inputs, element);
    LANES_UNROLL
    for (int j = 0; j < chains; j++) {
        lanes_f32 step = steps_f32(t->scales + r, steps);
        if (steps != QAT_STEPS_ONE) t->scales += QAT_TILE_ROWS;
        LANES_UNROLL
        for (int i = 0; i < inputs; i++) total[i] = fma_f32(step, s[j][i] * unit, total[i]);
    }
}

// LANES rows of W with `inputs` x; constant `element` and `inputs` make it a kernel of its own.
LANES_INLINE void multiply_rows(const qat_packed_weight *w, size_t tile, size_t r, const float *x,
                                int inputs, size_t count, float *y, size_t stride,
                                qat_packed_element element) {
    lanes_tile t = tile_at(w, tile, element);
    lanes_f32 total[QAT_TILE_INPUTS];
    LANES_UNROLL
    for (int i = 0; i < inputs; i++) total[i] = set_f32(0);
    size_t g = 0, groups = t.block_groups;
    // Wide weights come no faster than memory gives them, and that gives one stream faster than two.
    if (inputs <= 2 && qat_packed_group_bytes(element) <= 128)
        for (; g + 2 * groups <= t.groups; g += 2 * groups)
            add_blocks(total, &t, g, groups, r, x, 2, inputs, element, w->steps);
    for (; g < t.groups; g += groups) {
        if (groups > t.groups - g) groups = t.groups - g;
        add_blocks(total, &t, g, groups, r, x, 1, inputs, element, w->steps);
    }
    size_t row = tile * QAT_TILE_ROWS + r;
    if (row >= w->rows) return;
    lanes_f32 factors = load_f32(w->factors + row);
    LANES_UNROLL
    for (int i = 0; i < inputs; i++)
        if ((size_t)i < count)
            store_rows(y + (size_t)i * stride + row, total[i] * factors, w->rows - row);
}

// Few inputs: each weight is expanded as it is multiplied.
LANES_INLINE void multiply_few(const qat_packed_weight *w, const float *x, size_t count, float *y,
                               size_t stride, size_t first, size_t last,
                               qat_packed_element element) {
    size_t inputs = qat_input_group(count, 0);
    for (size_t tile = first; tile < last; tile++)
        for (size_t r = 0; r < QAT_TILE_ROWS; r += LANES) switch (inputs) {
                case 1: multiply_rows(w, tile, r, x, 1, count, y, stride, element); break;
                case 2: multiply_rows(w, tile, r, x, 2, count, y, stride, element); break;
                case 4: multiply_rows(w, tile, r, x, 4, count, y, stride, element); break;
                default: multiply_rows(w, tile, r, x, 8, count, y, stride, element);
            }
}

// Two tiles, or one, expanded to FP32, and the totals of all inputs.
typedef struct {
    float *values;  // [tile][column][16]
    float *steps;   // [tile][block][16]
    float *totals;  // [input][PAIR_ROWS]
    size_t tiles;
    size_t columns;  // of a chunk: whole blocks, but the last
    size_t block;
} lanes_pair;

enum {
    CHUNK_VALUES = QAT_TILE_MAX_BLOCK * QAT_TILE_ROWS,
    CHUNK_STEPS = QAT_TILE_MAX_BLOCK / QAT_TILE_COLUMNS * QAT_TILE_ROWS,
};

// Groups first..<end of both tiles.
LANES_INLINE void expand_chunk(const lanes_pair *pair, const qat_packed_weight *w, size_t tile,
                               size_t first, size_t end, qat_packed_element element) {
    size_t bytes = qat_packed_group_bytes(element), high = qat_packed_high_bytes(element);
    for (size_t p = 0; p < pair->tiles; p++) {
        lanes_tile t = tile_at(w, tile + p, element);
        float *values = pair->values + p * CHUNK_VALUES, *steps = pair->steps + p * CHUNK_STEPS;
        for (size_t r = 0; r < QAT_TILE_ROWS; r += LANES) {
            for (size_t g = first; g < end; g++) {
                lanes_f32 v[8];
                expand(v, t.codes + g * bytes, t.high + g * high, r, element);
                for (size_t c = 0; c < 8; c++)
                    store_f32(values + ((g - first) * 8 + c) * QAT_TILE_ROWS + r, v[c]);
            }
            for (size_t g = first; g < end; g += t.block_groups) {
                size_t b = g / t.block_groups - first / t.block_groups;
                const uint8_t *scales = t.scales;
                if (w->steps != QAT_STEPS_ONE) scales += g / t.block_groups * QAT_TILE_ROWS + r;
                store_f32(steps + b * QAT_TILE_ROWS + r, steps_f32(scales, w->steps));
            }
        }
    }
}

// The chunk's part of the totals of `inputs` x, for `vectors` vectors of rows from row r of the pair on.
LANES_INLINE void multiply_vectors(const lanes_pair *pair, const float *x, float *totals, size_t r,
                                   int inputs, int vectors, float unit_value) {
    const float *values[2], *steps[2];
    lanes_f32 unit = set_f32(unit_value);
    LANES_UNROLL
    for (int j = 0; j < vectors; j++) {
        size_t row = r + (size_t)j * LANES;
        size_t tile = row / QAT_TILE_ROWS, lane = row % QAT_TILE_ROWS;
        values[j] = pair->values + tile * CHUNK_VALUES + lane;
        steps[j] = pair->steps + tile * CHUNK_STEPS + lane;
    }
    for (size_t k = 0, b = 0; k < pair->columns; b++) {
        lanes_f32 s[2][QAT_TILE_INPUTS];
        LANES_UNROLL
        for (int j = 0; j < vectors; j++)
            LANES_UNROLL
            for (int i = 0; i < inputs; i++) s[j][i] = set_f32(0);
        size_t end = k + pair->block < pair->columns ? k + pair->block : pair->columns;
        for (; k < end; k++)
            LANES_UNROLL
            for (int j = 0; j < vectors; j++) {
                lanes_f32 v = load_f32(values[j] + k * QAT_TILE_ROWS);
                LANES_UNROLL
                for (int i = 0; i < inputs; i++)
                    s[j][i] = fma_f32(v, set_f32(x[k * (size_t)inputs + (size_t)i]), s[j][i]);
            }
        LANES_UNROLL
        for (int j = 0; j < vectors; j++) {
            lanes_f32 step = load_f32(steps[j] + b * QAT_TILE_ROWS);
            LANES_UNROLL
            for (int i = 0; i < inputs; i++) {
                float *total = totals + i * PAIR_ROWS + r + (size_t)j * LANES;
                store_f32(total, fma_f32(step, s[j][i] * unit, load_f32(total)));
            }
        }
    }
}

LANES_INLINE void multiply_chunk(const lanes_pair *pair, const float *x, float *totals, int inputs,
                                 float unit) {
    size_t rows = pair->tiles * QAT_TILE_ROWS, r = 0;
    for (; r + LANES_VECTORS * LANES <= rows; r += LANES_VECTORS * LANES)
        multiply_vectors(pair, x, totals, r, inputs, LANES_VECTORS, unit);
    for (; r < rows; r += LANES) multiply_vectors(pair, x, totals, r, inputs, 1, unit);
}

// All inputs with a chunk of a pair, `columns` being those of the whole weight and `k` the chunk's first.
LANES_TARGET static void multiply_inputs(const lanes_pair *pair, const float *x, size_t count,
                                         size_t columns, size_t k, float unit) {
    for (size_t i = 0; i < count; i += QAT_TILE_INPUTS) {
        size_t inputs = qat_input_group(count, i);
        const float *group = x + i * columns + k * inputs;
        float *totals = pair->totals + i * PAIR_ROWS;
        switch (inputs) {
            case 1: multiply_chunk(pair, group, totals, 1, unit); break;
            case 2: multiply_chunk(pair, group, totals, 2, unit); break;
            case 4: multiply_chunk(pair, group, totals, 4, unit); break;
            default: multiply_chunk(pair, group, totals, 8, unit);
        }
    }
}

LANES_TARGET static void store_pair(const lanes_pair *pair, const qat_packed_weight *w, size_t tile,
                                    size_t count, float *y, size_t stride) {
    size_t first = tile * QAT_TILE_ROWS, end = first + pair->tiles * QAT_TILE_ROWS;
    for (size_t row = first; row < end && row < w->rows; row += LANES) {
        lanes_f32 factors = load_f32(w->factors + row);
        for (size_t i = 0; i < count; i++) {
            lanes_f32 total = load_f32(pair->totals + i * PAIR_ROWS + (row - first));
            store_rows(y + i * stride + row, total * factors, w->rows - row);
        }
    }
}

// Many inputs: two tiles at a time are expanded, a chunk of columns after the other.
LANES_INLINE void multiply_many(const qat_packed_weight *w, const float *x, size_t count, float *y,
                                size_t stride, size_t first, size_t last, float *scratch,
                                qat_packed_element element) {
    size_t groups = qat_tile_groups(w->columns), block = qat_packed_block(w);
    size_t chunk = QAT_TILE_MAX_BLOCK / block * block / QAT_TILE_COLUMNS;
    lanes_pair pair = {.values = scratch, .block = block};
    pair.steps = pair.values + 2 * CHUNK_VALUES;
    pair.totals = pair.steps + 2 * CHUNK_STEPS;
    size_t inputs = (count + QAT_TILE_INPUTS - 1) / QAT_TILE_INPUTS * QAT_TILE_INPUTS;
    for (size_t tile = first; tile < last; tile += 2) {
        pair.tiles = last - tile < 2 ? 1 : 2;
        memset(pair.totals, 0, inputs * PAIR_ROWS * sizeof *pair.totals);
        for (size_t g = 0; g < groups; g += chunk) {
            size_t end = g + chunk < groups ? g + chunk : groups;
            pair.columns = (end - g) * QAT_TILE_COLUMNS;
            expand_chunk(&pair, w, tile, g, end, element);
            multiply_inputs(&pair, x, count, groups * QAT_TILE_COLUMNS, g * QAT_TILE_COLUMNS,
                            qat_packed_unit(element));
        }
        store_pair(&pair, w, tile, count, y, stride);
    }
}

#define LANES_KERNEL(element)                                                                     \
    LANES_TARGET static void multiply_##element(const qat_packed_weight *w, const float *x,       \
                                                size_t count, float *y, size_t stride,            \
                                                size_t first, size_t last, float *scratch) {      \
        if (count <= QAT_TILE_INPUTS)                                                             \
            multiply_few(w, x, count, y, stride, first, last, element);                           \
        else                                                                                      \
            multiply_many(w, x, count, y, stride, first, last, scratch, element);                 \
    }
LANES_KERNEL(QAT_PACKED_E2M1)
LANES_KERNEL(QAT_PACKED_E2M3)
LANES_KERNEL(QAT_PACKED_E3M2)
LANES_KERNEL(QAT_PACKED_E4M3)
LANES_KERNEL(QAT_PACKED_E5M2)
LANES_KERNEL(QAT_PACKED_INT8)
LANES_KERNEL(QAT_PACKED_BF16)
LANES_KERNEL(QAT_PACKED_F16)
LANES_KERNEL(QAT_PACKED_F32)

void LANES_NAME(qat_product_packed)(const qat_packed_weight *w, const float *packed_inputs,
                                    size_t count, float *y, size_t stride, size_t first,
                                    size_t last, float *scratch) {
#define CASE(element)                                                                          \
    case element: multiply_##element(w, packed_inputs, count, y, stride, first, last, scratch); break
    switch (w->element) {
        CASE(QAT_PACKED_E2M1);
        CASE(QAT_PACKED_E2M3);
        CASE(QAT_PACKED_E3M2);
        CASE(QAT_PACKED_E4M3);
        CASE(QAT_PACKED_E5M2);
        CASE(QAT_PACKED_INT8);
        CASE(QAT_PACKED_BF16);
        CASE(QAT_PACKED_F16);
        CASE(QAT_PACKED_F32);
    }
#undef CASE
}
