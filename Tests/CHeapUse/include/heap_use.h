// How much of the heap is in use: what tests show that a training step leaves alone.
#pragma once
#include <stddef.h>

// Bytes in use by malloc in all arenas, mapped blocks included; 0 where the C library does not tell.
size_t heap_byte_count(void);
