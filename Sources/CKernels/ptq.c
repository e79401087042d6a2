// Scale search and GPTQ. The column loop of GPTQ is the hot one; it is plain C that the compiler
// vectorizes, since the matrix products around it take most of the time.
#include "qat_ptq.h"
#include "quantize_scalar.h"

static float round_value(float x, float step, const qat_block_format *format) {
    return qat_round_value(x, step, &format->element, format->tie);
}

static double squared_error(const float *x, size_t block, const float *importance, float step,
                            const qat_block_format *format) {
    double sum = 0;
    for (size_t i = 0; i < block; i++) {
        double error = (double)x[i] - (double)round_value(x[i], step, format);
        sum += error * error * (importance ? (double)importance[i] : 1.0);
    }
    return sum;
}

uint8_t qat_choose_scale_f32(const float *x, size_t block, const qat_block_format *format,
                             const qat_scale_search *search) {
    float amax = qat_amax_f32(x, block);
    if (amax > search->amax_limit) amax = search->amax_limit;
    int first = qat_scale_of_amax(amax, format);
    if (search->search == QAT_SEARCH_NONE || format->scales == QAT_SCALES_F32 || amax == 0) {
        return (uint8_t)first;
    }
    int is_two_level = format->scales == QAT_SCALES_E4M3;
    if (!is_two_level && first == 255) return 255;
    int lowest = is_two_level ? 1 : 0, highest = is_two_level ? 0x7E : 254;
    // A power of two has few neighbours worth a look. E4M3 steps are an eighth: down to half of
    // what the largest magnitude asks for, and up to half as much again, which maps it to 4
    // instead of 6.
    int low = first - (is_two_level ? 8 : 2), high = first + (is_two_level ? 5 : 1);
    if (search->search == QAT_SEARCH_SWEEP && is_two_level) {
        low = lowest;
        high = highest;
    }
    if (low < lowest) low = lowest;
    if (high > highest) high = highest;
    int best = first;
    const float *importance = search->importance;
    double least = squared_error(x, block, importance, qat_step_of_scale((uint8_t)first, format),
                                 format);
    for (int candidate = low; candidate <= high; candidate++) {
        if (candidate == first) continue;
        float step = qat_step_of_scale((uint8_t)candidate, format);
        double error = squared_error(x, block, importance, step, format);
        if (error < least) {
            least = error;
            best = candidate;
        }
    }
    return (uint8_t)best;
}

void qat_round_rows_f32(float *values, uint8_t *scales, size_t rows, size_t columns, size_t block,
                        const qat_block_format *format, const qat_scale_search *search) {
    qat_scale_search local = *search;
    for (size_t row = 0; row < rows; row++) {
        for (size_t start = 0; start + block <= columns; start += block) {
            float *x = values + row * columns + start;
            if (search->importance) local.importance = search->importance + start;
            uint8_t scale = qat_choose_scale_f32(x, block, format, &local);
            if (format->scales != QAT_SCALES_F32) scales[(row * columns + start) / block] = scale;
            float step = qat_step_of_scale(scale, format);
            for (size_t i = 0; i < block; i++) x[i] = round_value(x[i], step, format);
        }
    }
}

void qat_encode_rows_f32(uint8_t *codes, const float *values, const uint8_t *scales, size_t rows,
                         size_t columns, size_t block, const qat_block_format *format) {
    // E2M1 by twice the magnitude, which is a whole number.
    static const uint8_t e2m1_codes[13] = {0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, 7};
    const qat_element *element = &format->element;
    for (size_t start = 0; start + block <= rows * columns; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = qat_step_of_scale(scale, format);
        for (size_t i = start; i < start + block; i++) {
            float a = step > 0 ? fabsf(values[i]) / step : 0;
            uint8_t code;
            if (element->bits == 4) {
                int twice = (int)(a * 2 + 0.5f);
                code = e2m1_codes[twice < 12 ? twice : 12];
            } else {
                code = qat_magnitude_code(qat_round_magnitude(a, element, QAT_TIE_EVEN), element);
            }
            if (signbit(values[i])) {
                code = element->is_int ? (uint8_t)(-(int)code)
                                       : (uint8_t)(code | (1u << (element->bits - 1)));
            }
            codes[i] = code;
        }
    }
}

void qat_compare_f32(const float *values, const float *rounded, size_t count,
                     qat_comparison *comparison) {
    enum { LANES = 8 };
    double sum[LANES] = {0}, squares[LANES] = {0}, absolute[LANES] = {0}, noise[LANES] = {0};
    float low = INFINITY, high = -INFINITY;
    for (size_t i = 0; i < count; i += LANES) {
        size_t lanes = count - i < LANES ? count - i : LANES;
        for (size_t k = 0; k < lanes; k++) {
            float x = values[i + k];
            double error = (double)x - (double)rounded[i + k];
            sum[k] += x;
            squares[k] += (double)x * x;
            absolute[k] += fabs(error);
            noise[k] += error * error;
            low = x < low ? x : low;
            high = x > high ? x : high;
        }
    }
    qat_comparison total = {0, 0, 0, 0, low, high};
    for (size_t k = 0; k < LANES; k++) {
        total.sum += sum[k];
        total.squares += squares[k];
        total.absolute_error += absolute[k];
        total.squared_error += noise[k];
    }
    *comparison = total;
}

// Rounds column i of a row and spreads its error to the right.
static inline void take_column(float *x, float *error, size_t i, size_t width, float step,
                               const float *factor, size_t factor_stride,
                               const qat_block_format *format) {
    const float *row = factor + i * factor_stride;
    float rounded = round_value(x[i], step, format);
    float share = (x[i] - rounded) / row[i];
    x[i] = rounded;
    error[i] = share;
    for (size_t k = i + 1; k < width; k++) x[k] -= share * row[k];
}

void qat_gptq_panel_f32(float *values, size_t stride, float *errors, uint8_t *scales,
                        size_t scale_stride, size_t rows, size_t width, size_t block,
                        const float *factor, size_t factor_stride,
                        const qat_block_format *format, const qat_scale_search *search) {
    qat_scale_search local = *search;
    for (size_t r = 0; r < rows; r++) {
        float *x = values + r * stride;
        float step = 0;
        for (size_t i = 0; i < width; i++) {
            if (i % block == 0) {
                if (search->importance) local.importance = search->importance + i;
                uint8_t scale = qat_choose_scale_f32(x + i, block, format, &local);
                step = qat_step_of_scale(scale, format);
                scales[r * scale_stride + i / block] = scale;
            }
            take_column(x, errors + r * width, i, width, step, factor, factor_stride, format);
        }
    }
}

void qat_gptq_panel_fixed_f32(float *values, size_t stride, float *errors, const float *steps,
                              size_t step_stride, size_t rows, size_t width, const float *factor,
                              size_t factor_stride, const qat_block_format *format) {
    for (size_t r = 0; r < rows; r++) {
        for (size_t i = 0; i < width; i++) {
            take_column(values + r * stride, errors + r * width, i, width,
                        steps[r * step_stride + i], factor, factor_stride, format);
        }
    }
}
