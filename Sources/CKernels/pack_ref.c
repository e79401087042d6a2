// Reference kernels of packing: the specification the fast twins are tested against.
#include "qat_quantize.h"

void qat_pack_nibbles_ref(uint8_t *packed, const uint8_t *codes, size_t count) {
    for (size_t i = 0; i + 1 < count; i += 2) {
        packed[i / 2] = (uint8_t)((codes[i] & 15) | (codes[i + 1] << 4));
    }
}

void qat_unpack_nibbles_ref(uint8_t *codes, const uint8_t *packed, size_t count) {
    for (size_t i = 0; i + 1 < count; i += 2) {
        codes[i] = packed[i / 2] & 15;
        codes[i + 1] = packed[i / 2] >> 4;
    }
}

void qat_pack_sextets_ref(uint8_t *packed, const uint8_t *codes, size_t count) {
    for (size_t i = 0, o = 0; i + 3 < count; i += 4, o += 3) {
        uint32_t word = 0;
        for (size_t k = 0; k < 4; k++) word |= (uint32_t)(codes[i + k] & 63) << (6 * k);
        packed[o] = (uint8_t)word;
        packed[o + 1] = (uint8_t)(word >> 8);
        packed[o + 2] = (uint8_t)(word >> 16);
    }
}

void qat_unpack_sextets_ref(uint8_t *codes, const uint8_t *packed, size_t count) {
    for (size_t i = 0, o = 0; i + 3 < count; i += 4, o += 3) {
        uint32_t word = packed[o] | (uint32_t)packed[o + 1] << 8 | (uint32_t)packed[o + 2] << 16;
        for (size_t k = 0; k < 4; k++) codes[i + k] = (word >> (6 * k)) & 63;
    }
}
