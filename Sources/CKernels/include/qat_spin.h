// Waiting for another thread without sleeping.
#pragma once

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

// Tells the processor that this is a loop of looks: it saves power, and its sibling thread works on.
static inline void qat_spin_pause(void) {
#if defined(__x86_64__)
    _mm_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
