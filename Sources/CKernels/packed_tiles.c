// Weights into tiles, and out of them; inputs into the order that products read them in.
#include "packed_scalar.h"
#include "quantize_scalar.h"

float qat_packed_unit(qat_packed_element element) {
    switch (element) {
        case QAT_PACKED_E2M3: return 0x1p14f;
        case QAT_PACKED_E3M2: return 0x1p12f;
        case QAT_PACKED_E4M3: return 0x1p8f;
        case QAT_PACKED_INT8: return 0x1p-6f;
        default: return 1;
    }
}

size_t qat_packed_group_bytes(qat_packed_element element) {
    switch (element) {
        case QAT_PACKED_E2M1:
        case QAT_PACKED_E2M3:
        case QAT_PACKED_E3M2: return 64;
        case QAT_PACKED_BF16:
        case QAT_PACKED_F16: return 256;
        case QAT_PACKED_F32: return 512;
        default: return 128;
    }
}

size_t qat_packed_high_bytes(qat_packed_element element) {
    return element == QAT_PACKED_E2M3 || element == QAT_PACKED_E3M2 ? 32 : 0;
}

static void place(uint8_t *codes, uint8_t *high, size_t r, size_t column, uint32_t code,
                  qat_packed_element element) {
    size_t c = column % QAT_TILE_COLUMNS;
    codes += column / QAT_TILE_COLUMNS * qat_packed_group_bytes(element);
    uint16_t half = (uint16_t)code;
    switch (element) {
        case QAT_PACKED_E2M1: codes[4 * r + c / 2] |= (uint8_t)(code << (4 * (c % 2))); break;
        case QAT_PACKED_E2M3:
        case QAT_PACKED_E3M2:
            high += column / QAT_TILE_COLUMNS * qat_packed_high_bytes(element);
            codes[c / 2 * 16 + r] |= (uint8_t)((code & 15) << (4 * (c % 2)));
            high[c / 4 * 16 + r] |= (uint8_t)(((code >> 4 & 1) | (code >> 5 & 1) << 4) << (c % 4));
            break;
        case QAT_PACKED_BF16:
        case QAT_PACKED_F16: memcpy(codes + (c / 2 * 16 + r) * 4 + c % 2 * 2, &half, 2); break;
        case QAT_PACKED_F32: memcpy(codes + (c * 16 + r) * 4, &code, 4); break;
        default: codes[c * 16 + r] = (uint8_t)code;
    }
}

// Column k of a row as files have it.
static uint32_t stored_code(const uint8_t *row, size_t k, qat_packed_element element) {
    uint16_t half;
    uint32_t word = 0;
    switch (element) {
        case QAT_PACKED_E2M1: return row[k / 2] >> (4 * (k % 2)) & 15;
        case QAT_PACKED_E2M3:
        case QAT_PACKED_E3M2:
            memcpy(&word, row + k / 4 * 3, 3);
            return word >> (6 * (k % 4)) & 63;
        case QAT_PACKED_BF16:
        case QAT_PACKED_F16: memcpy(&half, row + 2 * k, 2); return half;
        case QAT_PACKED_F32: memcpy(&word, row + 4 * k, 4); return word;
        default: return row[k];
    }
}

void qat_tile_codes(uint8_t *codes, uint8_t *high, const uint8_t *source, size_t source_stride,
                    size_t count, size_t columns, qat_packed_element element) {
    size_t groups = qat_tile_groups(columns);
    memset(codes, 0, groups * qat_packed_group_bytes(element));
    if (qat_packed_high_bytes(element)) memset(high, 0, groups * qat_packed_high_bytes(element));
    for (size_t r = 0; r < count; r++) {
        const uint8_t *row = source + r * source_stride;
        if (element == QAT_PACKED_E2M1 && columns % QAT_TILE_COLUMNS == 0) {
            for (size_t g = 0; g < groups; g++) memcpy(codes + 64 * g + 4 * r, row + 4 * g, 4);
            continue;
        }
        for (size_t k = 0; k < columns; k++)
            place(codes, high, r, k, stored_code(row, k, element), element);
    }
}

void qat_tile_scales(uint8_t *scales, const uint8_t *source, size_t count, size_t blocks,
                     qat_packed_steps steps) {
    uint8_t one = steps == QAT_STEPS_E8M0 ? 127 : 0x38;
    for (size_t b = 0; b < blocks; b++)
        for (size_t r = 0; r < QAT_TILE_ROWS; r++)
            scales[b * QAT_TILE_ROWS + r] = r < count ? source[r * blocks + b] : one;
}

static float half_value(uint32_t half) {
    uint32_t exponent = half >> 10 & 31, mantissa = half & 1023;
    float magnitude = exponent == 0 ? (float)mantissa * 0x1p-24f
                      : exponent == 31
                          ? qat_float_from_bits(0x7F800000u | mantissa << 13)
                          : qat_float_from_bits((exponent + 112) << 23 | mantissa << 13);
    return half & 0x8000 ? -magnitude : magnitude;
}

// The FP16 number that a value is, if it is one; otherwise another.
static uint16_t half_of(float value) {
    uint32_t bits = qat_float_bits(value), magnitude = bits & 0x7FFFFFFF;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (magnitude >= UINT32_C(143) << 23) return sign | 0x7C00;
    if (magnitude < UINT32_C(113) << 23) return sign | (uint16_t)(fabsf(value) * 0x1p24f);
    return (uint16_t)(sign | (magnitude - (UINT32_C(112) << 23)) >> 13);
}

int qat_narrow_exactly(uint16_t *halves, const float *values, size_t count,
                       qat_packed_element element) {
    int is_exact = 1;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits = qat_float_bits(values[i]);
        halves[i] = element == QAT_PACKED_F16 ? half_of(values[i]) : (uint16_t)(bits >> 16);
        is_exact &= isfinite(values[i]) && qat_float_bits(qat_packed_value(halves[i], element)) == bits;
    }
    return is_exact;
}

float qat_packed_value(uint32_t code, qat_packed_element element) {
    static const qat_element grids[] = {
        [QAT_PACKED_E2M1] = {1, 0, 2, 6.0f, 4, 0},   [QAT_PACKED_E2M3] = {3, 0, 2, 7.5f, 6, 0},
        [QAT_PACKED_E3M2] = {2, -2, 4, 28.0f, 6, 0}, [QAT_PACKED_E4M3] = {3, -6, 8, 448.0f, 8, 0},
        [QAT_PACKED_E5M2] = {2, -14, 15, 57344.0f, 8, 0},
        [QAT_PACKED_INT8] = {6, 0, 0, 127.0f / 64.0f, 8, 1},
    };
    switch (element) {
        case QAT_PACKED_BF16: return qat_float_from_bits(code << 16);
        case QAT_PACKED_F16: return half_value(code);
        case QAT_PACKED_F32: return qat_float_from_bits(code);
        default: return qat_code_value((uint8_t)code, &grids[element]);
    }
}

float qat_packed_step(const qat_packed_weight *w, size_t tile, size_t r, size_t block) {
    if (w->steps == QAT_STEPS_ONE) return 1;
    uint8_t byte = w->scales[(tile * (w->columns / w->block) + block) * QAT_TILE_ROWS + r];
    return w->steps == QAT_STEPS_E8M0 ? qat_decode_e8m0(byte) : qat_decode_e4m3(byte);
}

void qat_unpack_row(float *row, const qat_packed_weight *w, size_t index) {
    size_t tile = index / QAT_TILE_ROWS, r = index % QAT_TILE_ROWS, block = qat_packed_block(w);
    for (size_t k = 0; k < w->columns; k++) {
        float step = qat_packed_step(w, tile, r, k / block) * w->factors[index];
        row[k] = qat_packed_value(qat_packed_code(w, tile, r, k), w->element) * step;
    }
}

size_t qat_packed_input_count(size_t count, size_t columns) {
    size_t width = 0;
    for (size_t i = 0; i < count; i += QAT_TILE_INPUTS) width += qat_input_group(count, i);
    return width * qat_tile_groups(columns) * QAT_TILE_COLUMNS;
}

void qat_pack_inputs(float *packed, const float *inputs, size_t stride, size_t count,
                     size_t columns) {
    size_t padded = qat_tile_groups(columns) * QAT_TILE_COLUMNS;
    for (size_t first = 0; first < count; first += QAT_TILE_INPUTS) {
        size_t width = qat_input_group(count, first);
        size_t there = count - first < width ? count - first : width;
        float *group = packed + first * padded;
        for (size_t k = 0; k < padded; k++)
            for (size_t i = 0; i < width; i++)
                group[k * width + i] =
                    i < there && k < columns ? inputs[(first + i) * stride + k] : 0;
    }
}

// Two tiles of the values and steps of QAT_TILE_MAX_BLOCK columns, and the totals of all inputs.
size_t qat_packed_scratch_count(size_t count) {
    if (count <= QAT_TILE_INPUTS) return 0;
    size_t steps = QAT_TILE_MAX_BLOCK / QAT_TILE_COLUMNS;
    size_t inputs = (count + QAT_TILE_INPUTS - 1) / QAT_TILE_INPUTS * QAT_TILE_INPUTS;
    return 2 * QAT_TILE_ROWS * (QAT_TILE_MAX_BLOCK + steps + inputs);
}
