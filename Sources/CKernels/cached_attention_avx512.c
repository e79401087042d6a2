// AVX-512 twins of attention over cached rows.
#if defined(__x86_64__)
#include "cached_attention_twins.h"

#define LANES_TARGET __attribute__((target("avx512f,avx512vl,avx512dq,fma")))
#define LANES_NAME(kernel) kernel##_avx512

#include "cached_attention_lanes.h"
#endif
