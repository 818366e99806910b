// Vectors of LANES floats: it and TARGET are the including file's.
#ifndef ESPALIER_LANES_H
#define ESPALIER_LANES_H

#include "attention_rows.h"
#include "common.h"

#define INLINE ALWAYS_INLINE TARGET

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef int32_t whole_lanes __attribute__((vector_size(4 * LANES)));
typedef float loose_lanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef half loose_halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

INLINE lanes load_halves(const half *from) { return __builtin_convertvector(*(const loose_halves *)from, lanes); }
INLINE lanes load(const float *from) { return *(const loose_lanes *)from; }
INLINE void store(float *to, lanes values) { *(loose_lanes *)to = values; }
INLINE lanes larger(lanes a, lanes b) { return __builtin_elementwise_max(a, b); }
INLINE lanes smaller(lanes a, lanes b) { return __builtin_elementwise_min(a, b); }

#endif
