// NEON twins of attention over cached rows.
#if defined(__aarch64__)
#include "cached_attention_twins.h"

#define LANES_TARGET   // NEON is part of the architecture
#define LANES_NAME(kernel) kernel##_neon

#include "cached_attention_lanes.h"
#endif
