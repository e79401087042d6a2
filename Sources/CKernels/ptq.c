// Scale search and GPTQ. The column loop of GPTQ is the hot one; it is plain C that the compiler
// vectorizes, since the matrix products around it take most of the time.
#include "qat_ptq.h"
#include "quantize_scalar.h"

static float round_value(float x, float step, const qat_block_format *format) {
    return qat_round_value(x, step, &format->element, format->tie);
}

void qat_measure_steps_f32_ref(double *errors, const float *steps, size_t count, const float *x,
                               size_t block, const float *importance,
                               const qat_block_format *format) {
    for (size_t s = 0; s < count; s++) {
        double parts[8] = {0};
        for (size_t i = 0; i < block; i++) {
            parts[i % 8] += qat_squared_error(x[i], importance ? importance + i : NULL, steps[s],
                                              &format->element, format->tie);
        }
        errors[s] = qat_sum_of_eight(parts);
    }
}

uint8_t qat_choose_scale_f32(const float *x, size_t block, const qat_block_format *format,
                             const qat_scale_search *search) {
    if (format->scales == QAT_SCALES_F32) return 0;
    float amax = qat_amax_f32(x, block);
    if (amax > search->amax_limit) amax = search->amax_limit;
    if (search->search == QAT_SEARCH_NONE) return qat_scale_of_block_f32(x, block, amax, format);
    int first = qat_scale_of_amax(amax, format);
    if (amax == 0) return (uint8_t)first;
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
    // The first comes first: it wins against equals.
    uint8_t candidates[256];
    float steps[256];
    double errors[256];
    size_t count = 1;
    candidates[0] = (uint8_t)first;
    for (int candidate = low; candidate <= high; candidate++) {
        if (candidate != first) candidates[count++] = (uint8_t)candidate;
    }
    for (size_t i = 0; i < count; i++) steps[i] = qat_step_of_scale(candidates[i], format);
    qat_measure_steps_f32(errors, steps, count, x, block, search->importance, format);
    size_t best = 0;
    for (size_t i = 1; i < count; i++) {
        if (errors[i] < errors[best]) best = i;
    }
    return candidates[best];
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
            qat_round_values_f32(x, x, block, qat_step_of_scale(scale, format), format);
        }
    }
}

void qat_encode_rows_f32(uint8_t *codes, const float *values, const uint8_t *scales, size_t rows,
                         size_t columns, size_t block, const qat_block_format *format) {
    for (size_t start = 0; start + block <= rows * columns; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        qat_encode_values_f32(codes + start, values + start, block,
                              qat_step_of_scale(scale, format), format);
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
