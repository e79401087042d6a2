// Which twins to call; not part of the public interface.
#pragma once

#if defined(__x86_64__)
#define QAT_HAS_AVX2 1
#else
#define QAT_HAS_AVX2 0
#endif

#if defined(__aarch64__)
#define QAT_HAS_NEON 1
#else
#define QAT_HAS_NEON 0
#endif

int qat_uses_avx2(void);
int qat_uses_avx512(void);
