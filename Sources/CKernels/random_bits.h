// Bits of floats and random ones, for the kernels that round; not part of the public interface.
#pragma once
#include <stdint.h>
#include <string.h>

static inline uint32_t qat_float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float qat_float_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Wellons' lowbias32: every bit of x changes every bit of the result about half of the time.
static inline uint32_t qat_scramble(uint32_t x) {
    x = (x ^ x >> 16) * UINT32_C(0x7feb352d);
    x = (x ^ x >> 15) * UINT32_C(0x846ca68b);
    return x ^ x >> 16;
}
