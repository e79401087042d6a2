// The fast twins of the block quantization kernels, written once for vectors of any width.
//
// The file that includes this one has defined, for its instruction set:
//   LANES            floats in a vector
//   LANES_TARGET     attributes of a function that uses the instructions
//   LANES_NAME(x)    the twin's name of kernel x
//   lanes_f32, lanes_i32                 vectors of floats and of 32-bit integers
//   set_f32, set_i32                     all lanes alike
//   load_f32, store_f32                  unaligned
//   load_codes, store_codes, store_codes4   bytes to lanes; the low bytes of one or four vectors
//   smaller_f32(limit, a)                the smaller lane; NaN where a is
//   larger_i32, largest_i32              lane by lane; the largest lane
// Every operation rounds as its scalar twin does, so that results equal the reference bit for bit.
#pragma once
#include "quantize_scalar.h"

#define LANES_INLINE static inline __attribute__((always_inline)) LANES_TARGET

// The loops are compiled once for each tie rule.
#define LANES_FOR_EACH_TIE(tie, CALL)                      \
    switch (tie) {                                         \
        case QAT_TIE_AWAY: CALL(QAT_TIE_AWAY); break;      \
        case QAT_TIE_ZERO: CALL(QAT_TIE_ZERO); break;      \
        default: CALL(QAT_TIE_EVEN); break;                \
    }

enum { MANTISSA_BITS = 23, EXPONENT_MASK = 0x7F800000, MAGNITUDE_MASK = 0x7FFFFFFF };

// The element's grid as vectors; all but `largest` are added to or compared with float bits.
typedef struct {
    lanes_i32 least_exponent;  // of the smallest normal
    lanes_i32 to_magic;        // exponent e -> 1.5 * 2^(e - mantissa_bits + 23)
    lanes_i32 to_step;         // exponent e -> 2^(e - mantissa_bits)
    lanes_f32 largest;
} lanes_grid;

LANES_INLINE lanes_grid grid_of(const qat_element *element) {
    int mantissa_bits = element->mantissa_bits;
    lanes_grid grid = {
        set_i32((element->min_exponent + 127) * (1 << MANTISSA_BITS)),
        set_i32((MANTISSA_BITS - mantissa_bits) * (1 << MANTISSA_BITS) + 0x400000),
        set_i32(-mantissa_bits * (1 << MANTISSA_BITS)),
        set_f32(element->max_value),
    };
    return grid;
}

// The nearest multiple of the step that belongs to a magnitude's exponent, and what the code needs.
typedef struct {
    lanes_i32 exponent;
    lanes_f32 value;
    lanes_i32 steps;  // value / step
} lanes_rounded;

// Adding and subtracting 1.5 * 2^(23 + k) rounds to a multiple of 2^k, ties to even; k follows each
// element's own exponent, but not below the element type's smallest. What was rounded off is
// exact, so the other rules can tell a tie from it and go one step back.
LANES_INLINE lanes_rounded round_lanes(lanes_f32 a, const lanes_grid *grid, int tie) {
    lanes_rounded r;
    r.exponent = larger_i32((lanes_i32)a & set_i32(EXPONENT_MASK), grid->least_exponent);
    lanes_f32 magic = (lanes_f32)(r.exponent + grid->to_magic);
    lanes_f32 sum = a + magic;
    r.value = sum - magic;
    r.steps = (lanes_i32)sum - (lanes_i32)magic;
    if (tie == QAT_TIE_EVEN) return r;
    lanes_f32 step = (lanes_f32)(r.exponent + grid->to_step);
    lanes_f32 half = step * set_f32(0.5f);
    lanes_f32 rest = a - r.value;
    if (tie == QAT_TIE_AWAY) {
        lanes_i32 is_tie = rest == half;
        r.value = r.value + (lanes_f32)(is_tie & (lanes_i32)step);
        r.steps = r.steps - is_tie;
    } else {
        lanes_i32 is_tie = rest == -half;
        r.value = r.value - (lanes_f32)(is_tie & (lanes_i32)step);
        r.steps = r.steps + is_tie;
    }
    return r;
}

// The quotient by a power of two is the product with its reciprocal: both round the same number.
static inline int has_reciprocal(float step) {
    uint32_t bits = qat_float_bits(step);
    return (bits & 0x7FFFFF) == 0 && bits >= UINT32_C(1) << 23 && bits <= UINT32_C(253) << 23;
}

static inline float reciprocal(float step) {
    return qat_float_from_bits((UINT32_C(254) << 23) - qat_float_bits(step));
}

// |x| / step, at most the largest magnitude.
LANES_INLINE lanes_f32 scale_lanes(lanes_f32 x, lanes_f32 divisor, int is_reciprocal,
                                   const lanes_grid *grid) {
    lanes_f32 a = (lanes_f32)((lanes_i32)x & set_i32(MAGNITUDE_MASK));
    return smaller_f32(grid->largest, is_reciprocal ? a * divisor : a / divisor);
}

LANES_INLINE int32_t amax_bits(const float *src, size_t count) {
    // Magnitudes compare as integers, and a NaN is above infinity there: nothing is lost.
    const lanes_i32 mask = set_i32(MAGNITUDE_MASK);
    lanes_i32 best = set_i32(0), other = best;
    size_t i = 0;
    for (; i + 2 * LANES <= count; i += 2 * LANES) {
        best = larger_i32(best, (lanes_i32)load_f32(src + i) & mask);
        other = larger_i32(other, (lanes_i32)load_f32(src + i + LANES) & mask);
    }
    if (i + LANES <= count) {
        best = larger_i32(best, (lanes_i32)load_f32(src + i) & mask);
        i += LANES;
    }
    int32_t bits = largest_i32(larger_i32(best, other));
    for (; i < count; i++) {
        int32_t b = (int32_t)(qat_float_bits(src[i]) & MAGNITUDE_MASK);
        if (b > bits) bits = b;
    }
    return bits;
}

LANES_TARGET float LANES_NAME(qat_amax_f32)(const float *src, size_t count) {
    int32_t bits = amax_bits(src, count);
    return bits > EXPONENT_MASK ? NAN : qat_float_from_bits((uint32_t)bits);
}

// qat_scale_of_amax without calls. Of a normal float, an E8M0 byte is the exponent field after
// something has been added to the mantissa, less an offset; the rest, and what is not finite, goes
// to the specification.
typedef struct {
    float factor;
    uint32_t carry;
    int32_t offset;
    int32_t largest;  // byte under which the largest element is finite
} scale_rule;

static inline scale_rule rule_of(const qat_block_format *format) {
    const qat_element *element = &format->element;
    int32_t emax = element->emax, largest = 254 - emax;
    switch (format->scale_mode) {
        case QAT_SCALE_EVEN:
            return (scale_rule){1, UINT32_C(1) << (22 - element->mantissa_bits), emax, largest};
        case QAT_SCALE_EVEN_CT: return (scale_rule){1, UINT32_C(1) << 21, emax, largest};
        case QAT_SCALE_CEIL: return (scale_rule){1, 0x7FFFFF, emax, largest};
        case QAT_SCALE_RCEIL:
            return (scale_rule){1.0f / element->max_value, 0x7FFFFF, 0, largest};
        default: return (scale_rule){1, 0, emax, largest};
    }
}

LANES_INLINE uint8_t fast_scale(float amax, const scale_rule *rule,
                                const qat_block_format *format) {
    if (format->scales == QAT_SCALES_E8M0) {
        uint32_t bits = qat_float_bits(amax * rule->factor);
        if (__builtin_expect(bits - 0x800000 < EXPONENT_MASK - 0x800000, 1)) {
            int32_t byte = (int32_t)((bits + rule->carry) >> MANTISSA_BITS) - rule->offset;
            return (uint8_t)(byte < 0 ? 0 : byte > rule->largest ? rule->largest : byte);
        }
    } else if (format->scales == QAT_SCALES_E4M3 && format->global_scale > 0) {
        return qat_e4m3_of_ratio((amax / format->element.max_value) / format->global_scale);
    }
    return qat_scale_of_amax(amax, format);
}

// qat_step_of_scale.
LANES_INLINE float fast_step(uint8_t scale, const qat_block_format *format) {
    if (format->scales == QAT_SCALES_E8M0 && scale > 0 && scale < 255) {
        return qat_float_from_bits((uint32_t)scale << MANTISSA_BITS);
    }
    if (format->scales == QAT_SCALES_E4M3 && scale >= 8 && scale < 0x7F) {
        uint32_t bits = ((uint32_t)scale << 20) + (UINT32_C(120) << MANTISSA_BITS);
        return qat_float_from_bits(bits) * format->global_scale;
    }
    return qat_step_of_scale(scale, format);
}

static inline int is_usable(float step) { return step > 0 && step <= 3.402823466e38f; }

LANES_INLINE void round_loop(float *dst, const float *src, size_t count, lanes_f32 steps,
                             lanes_f32 divisor, int is_reciprocal, const lanes_grid *grid,
                             int is_int, int tie) {
    const lanes_i32 sign_mask = (lanes_i32)set_f32(-0.0f);
    // Two's complement has one zero: adding +0 makes -0 that zero, adding -0 keeps it.
    const lanes_f32 zero = set_f32(is_int ? 0.0f : -0.0f);
    for (size_t i = 0; i + LANES <= count; i += LANES) {
        lanes_f32 x = load_f32(src + i);
        lanes_f32 a = scale_lanes(x, divisor, is_reciprocal, grid);
        lanes_f32 magnitude = round_lanes(a, grid, tie).value * steps;
        lanes_f32 value = (lanes_f32)((lanes_i32)magnitude | ((lanes_i32)x & sign_mask));
        store_f32(dst + i, value + zero);
    }
}

LANES_INLINE void round_values(float *dst, const float *src, size_t count, float step,
                               const lanes_grid *grid, const qat_block_format *format, int tie) {
    if (!is_usable(step)) {
        qat_round_values_f32_ref(dst, src, count, step, format);
        return;
    }
    const qat_element *element = &format->element;
    lanes_f32 steps = set_f32(step);
    if (has_reciprocal(step)) {
        round_loop(dst, src, count, steps, set_f32(reciprocal(step)), 1, grid, element->is_int,
                   tie);
    } else {
        round_loop(dst, src, count, steps, steps, 0, grid, element->is_int, tie);
    }
    for (size_t i = count / LANES * LANES; i < count; i++) {
        dst[i] = qat_round_value(src[i], step, element, tie);
    }
}

LANES_TARGET void LANES_NAME(qat_round_values_f32)(float *dst, const float *src, size_t count,
                                                   float step, const qat_block_format *format) {
    const lanes_grid grid = grid_of(&format->element);
#define ROUND(tie) round_values(dst, src, count, step, &grid, format, tie)
    LANES_FOR_EACH_TIE(format->tie, ROUND)
#undef ROUND
}

// Sums of every eighth square, whatever the vector's width: the order is the reference's.
enum { SUMS = 8, VECTORS = SUMS / LANES };

LANES_INLINE double error_under_step(float step, const float *x, size_t block,
                                     const float *importance, const lanes_grid *grid,
                                     const qat_element *element, int is_reciprocal, int tie) {
    lanes_f32 steps = set_f32(step);
    lanes_f32 divisor = is_reciprocal ? set_f32(reciprocal(step)) : steps;
    lanes_f64 sums[VECTORS] = {0};
    size_t i = 0;
    for (; i + SUMS <= block; i += SUMS) {
        for (size_t k = 0; k < VECTORS; k++) {
            lanes_f32 value = load_f32(x + i + k * LANES);
            lanes_f32 a = scale_lanes(value, divisor, is_reciprocal, grid);
            lanes_f32 rounded = round_lanes(a, grid, tie).value * steps;
            lanes_f32 magnitude = (lanes_f32)((lanes_i32)value & set_i32(MAGNITUDE_MASK));
            lanes_f64 error = widen_f64(magnitude) - widen_f64(rounded);
            lanes_f64 square = error * error;
            if (importance) square = square * widen_f64(load_f32(importance + i + k * LANES));
            sums[k] = sums[k] + square;
        }
    }
    double parts[SUMS];
    memcpy(parts, sums, sizeof parts);
    for (size_t k = 0; i < block; i++, k++) {
        parts[k] += qat_squared_error(x[i], importance ? importance + i : NULL, step, element,
                                      tie);
    }
    return qat_sum_of_eight(parts);
}

LANES_INLINE void errors_under_steps(double *errors, const float *steps, size_t count,
                                     const float *x, size_t block, const float *importance,
                                     const lanes_grid *grid, const qat_block_format *format,
                                     int tie) {
    const qat_element *element = &format->element;
    for (size_t s = 0; s < count; s++) {
        if (!is_usable(steps[s])) {
            qat_measure_steps_f32_ref(errors + s, steps + s, 1, x, block, importance, format);
        } else if (has_reciprocal(steps[s])) {
            errors[s] = error_under_step(steps[s], x, block, importance, grid, element, 1, tie);
        } else {
            errors[s] = error_under_step(steps[s], x, block, importance, grid, element, 0, tie);
        }
    }
}

// qat_scale_of_block_f32, given what it finds from amax alone.
LANES_INLINE uint8_t four_or_six(uint8_t six, const float *x, size_t count, float amax,
                                 const lanes_grid *grid, const qat_block_format *format, int tie) {
    if (!qat_picks_four_or_six(amax, format)) return six;
    uint8_t four = qat_scale_of_four(amax, format);
    if (four == six) return six;
    float steps[2] = {fast_step(six, format), fast_step(four, format)};
    double errors[2];
    errors_under_steps(errors, steps, 2, x, count, NULL, grid, format, tie);
    return errors[1] < errors[0] ? four : six;
}

LANES_TARGET uint8_t LANES_NAME(qat_scale_of_block_f32)(const float *block, size_t count,
                                                        float amax,
                                                        const qat_block_format *format) {
    const lanes_grid grid = grid_of(&format->element);
    const uint8_t six = qat_scale_of_amax(amax, format);
#define CHOOSE(tie) return four_or_six(six, block, count, amax, &grid, format, tie)
    LANES_FOR_EACH_TIE(format->tie, CHOOSE)
#undef CHOOSE
}

LANES_INLINE void fake_quantize_blocks(float *dst, const float *src, size_t count, size_t block,
                                       const qat_block_format *format, int tie) {
    const lanes_grid grid = grid_of(&format->element);
    const scale_rule rule = rule_of(format);
    for (size_t start = 0; start + block <= count; start += block) {
        int32_t bits = amax_bits(src + start, block);
        float amax = qat_float_from_bits((uint32_t)bits);
        uint8_t scale = fast_scale(amax, &rule, format);
        scale = four_or_six(scale, src + start, block, amax, &grid, format, tie);
        float step = fast_step(scale, format);
        if (bits >= EXPONENT_MASK || !(step <= 3.402823466e38f)) {
            for (size_t i = start; i < start + block; i++) dst[i] = NAN;
        } else {
            round_values(dst + start, src + start, block, step, &grid, format, tie);
        }
    }
}

LANES_TARGET void LANES_NAME(qat_fake_quantize_f32)(float *dst, const float *src, size_t count,
                                                    size_t block,
                                                    const qat_block_format *format) {
#define FAKE_QUANTIZE(tie) fake_quantize_blocks(dst, src, count, block, format, tie)
    LANES_FOR_EACH_TIE(format->tie, FAKE_QUANTIZE)
#undef FAKE_QUANTIZE
}

LANES_INLINE void round_scaled_blocks(float *dst, const float *src, const uint8_t *scales,
                                      size_t count, size_t block, const qat_block_format *format,
                                      int tie) {
    const lanes_grid grid = grid_of(&format->element);
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = fast_step(scale, format);
        if (amax_bits(src + start, block) >= EXPONENT_MASK || !(step <= 3.402823466e38f)) {
            for (size_t i = start; i < start + block; i++) dst[i] = NAN;
        } else {
            round_values(dst + start, src + start, block, step, &grid, format, tie);
        }
    }
}

LANES_TARGET void LANES_NAME(qat_fake_quantize_scaled_f32)(float *dst, const float *src,
                                                           const uint8_t *scales, size_t count,
                                                           size_t block,
                                                           const qat_block_format *format) {
#define ROUND_SCALED(tie) round_scaled_blocks(dst, src, scales, count, block, format, tie)
    LANES_FOR_EACH_TIE(format->tie, ROUND_SCALED)
#undef ROUND_SCALED
}

// The element's codes as vectors.
typedef struct {
    lanes_i32 sign_bit;
    int mantissa_shift;  // from an exponent in place in a float to one in place in a code
} lanes_coding;

LANES_INLINE lanes_i32 code_lanes(lanes_f32 x, lanes_f32 divisor, int is_reciprocal,
                                  const lanes_grid *grid, const lanes_coding *coding, int is_int,
                                  int tie) {
    lanes_f32 a = scale_lanes(x, divisor, is_reciprocal, grid);
    lanes_rounded r = round_lanes(a, grid, tie);
    // Codes count the grid's values: 2^mantissa_bits to each power of two above the least.
    lanes_i32 octaves = (r.exponent - grid->least_exponent) >> coding->mantissa_shift;
    lanes_i32 code = r.steps + octaves;
    lanes_i32 sign = (lanes_i32)x >> 31;
    return is_int ? (code ^ sign) - sign : code | (sign & coding->sign_bit);
}

LANES_INLINE void encode_loop(uint8_t *codes, const float *src, size_t count, lanes_f32 divisor,
                              int is_reciprocal, const lanes_grid *grid,
                              const lanes_coding *coding, int is_int, int tie) {
#define CODES(i) code_lanes(load_f32(src + (i)), divisor, is_reciprocal, grid, coding, is_int, tie)
    size_t i = 0;
    for (; i + 4 * LANES <= count; i += 4 * LANES) {
        store_codes4(codes + i, CODES(i), CODES(i + LANES), CODES(i + 2 * LANES),
                     CODES(i + 3 * LANES));
    }
    for (; i + LANES <= count; i += LANES) store_codes(codes + i, CODES(i));
#undef CODES
}

LANES_INLINE void encode_values(uint8_t *codes, const float *src, size_t count, float step,
                                const lanes_grid *grid, const qat_block_format *format,
                                int is_int, int tie) {
    if (!is_usable(step)) {
        qat_encode_values_f32_ref(codes, src, count, step, format);
        return;
    }
    const qat_element *element = &format->element;
    lanes_coding coding = {set_i32(1 << (element->bits - 1)),
                           MANTISSA_BITS - element->mantissa_bits};
    if (has_reciprocal(step)) {
        encode_loop(codes, src, count, set_f32(reciprocal(step)), 1, grid, &coding, is_int, tie);
    } else {
        encode_loop(codes, src, count, set_f32(step), 0, grid, &coding, is_int, tie);
    }
    for (size_t i = count / LANES * LANES; i < count; i++) {
        codes[i] = qat_encode_value(src[i], step, element, tie);
    }
}

LANES_TARGET void LANES_NAME(qat_encode_values_f32)(uint8_t *codes, const float *src,
                                                    size_t count, float step,
                                                    const qat_block_format *format) {
    const lanes_grid grid = grid_of(&format->element);
#define ENCODE(tie) encode_values(codes, src, count, step, &grid, format, \
                                  format->element.is_int, tie)
    LANES_FOR_EACH_TIE(format->tie, ENCODE)
#undef ENCODE
}

LANES_INLINE void quantize_blocks(uint8_t *codes, uint8_t *scales, const float *src, size_t count,
                                  size_t block, const qat_block_format *format, int is_int,
                                  int tie) {
    const lanes_grid grid = grid_of(&format->element);
    const scale_rule rule = rule_of(format);
    for (size_t start = 0; start + block <= count; start += block) {
        float step = format->global_scale;
        if (format->scales != QAT_SCALES_F32) {
            int32_t bits = amax_bits(src + start, block);
            float amax = qat_float_from_bits((uint32_t)bits);
            uint8_t scale = fast_scale(amax, &rule, format);
            scale = four_or_six(scale, src + start, block, amax, &grid, format, tie);
            scales[start / block] = scale;
            step = fast_step(scale, format);
        }
        encode_values(codes + start, src + start, block, step, &grid, format, is_int, tie);
    }
}

LANES_TARGET void LANES_NAME(qat_quantize_f32)(uint8_t *codes, uint8_t *scales, const float *src,
                                               size_t count, size_t block,
                                               const qat_block_format *format) {
#define QUANTIZE_INT(tie) quantize_blocks(codes, scales, src, count, block, format, 1, tie)
#define QUANTIZE_FLOAT(tie) quantize_blocks(codes, scales, src, count, block, format, 0, tie)
    if (format->element.is_int) {
        LANES_FOR_EACH_TIE(format->tie, QUANTIZE_INT)
    } else {
        LANES_FOR_EACH_TIE(format->tie, QUANTIZE_FLOAT)
    }
#undef QUANTIZE_INT
#undef QUANTIZE_FLOAT
}

// Codes put where a float has its exponent and mantissa; below the least normal, where the leading
// one is missing, it is put in and subtracted again.
LANES_INLINE lanes_f32 value_lanes(lanes_i32 code, const qat_element *element) {
    int mantissa_bits = element->mantissa_bits;
    if (element->is_int) {
        lanes_i32 wide = (code << 24) >> 24;
        return convert_f32(wide) * set_f32(qat_power_of_two(-mantissa_bits));
    }
    int sign_position = element->bits - 1;
    lanes_i32 magnitude = code & set_i32((1 << sign_position) - 1);
    lanes_i32 sign = (code >> sign_position) << 31;
    lanes_i32 is_subnormal = set_i32(1 << mantissa_bits) > magnitude;
    lanes_i32 bits = (magnitude << (MANTISSA_BITS - mantissa_bits)) +
                     set_i32((126 + element->min_exponent) << MANTISSA_BITS) +
                     (is_subnormal & set_i32(1 << MANTISSA_BITS));
    lanes_i32 excess =
        is_subnormal & (lanes_i32)set_f32(qat_power_of_two(element->min_exponent));
    lanes_f32 value = (lanes_f32)bits - (lanes_f32)excess;
    return (lanes_f32)((lanes_i32)value | sign);
}

LANES_TARGET void LANES_NAME(qat_dequantize_f32)(float *dst, const uint8_t *codes,
                                                 const uint8_t *scales, size_t count,
                                                 size_t block, const qat_block_format *format) {
    const qat_element element = format->element;
    for (size_t start = 0; start + block <= count; start += block) {
        uint8_t scale = format->scales == QAT_SCALES_F32 ? 0 : scales[start / block];
        float step = fast_step(scale, format);
        lanes_f32 steps = set_f32(step);
        size_t i = start;
        for (; i + LANES <= start + block; i += LANES) {
            store_f32(dst + i, value_lanes(load_codes(codes + i), &element) * steps);
        }
        for (; i < start + block; i++) dst[i] = qat_code_value(codes[i], &element) * step;
    }
}

LANES_TARGET void LANES_NAME(qat_measure_steps_f32)(double *errors, const float *steps,
                                                    size_t count, const float *x, size_t block,
                                                    const float *importance,
                                                    const qat_block_format *format) {
    const lanes_grid grid = grid_of(&format->element);
#define MEASURE(tie) \
    errors_under_steps(errors, steps, count, x, block, importance, &grid, format, tie)
    LANES_FOR_EACH_TIE(format->tie, MEASURE)
#undef MEASURE
}

#include "block_quantize_learned_lanes.h"
#include "block_quantize_training_lanes.h"
