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
typedef int8_t loose_bytes __attribute__((vector_size(LANES), aligned(1), may_alias));

INLINE lanes load_halves(const half *from) { return __builtin_convertvector(*(const loose_halves *)from, lanes); }
INLINE lanes load_bytes(const int8_t *from) { return __builtin_convertvector(*(const loose_bytes *)from, lanes); }
INLINE lanes load(const float *from) { return *(const loose_lanes *)from; }
INLINE size_t size_of(const enum element kind) {
  return kind == of_bytes ? sizeof(int8_t) : kind == of_halves ? sizeof(half) : sizeof(float);
}
// Of elements of this kind, those from `at` on.
INLINE lanes load_as(const enum element kind, const void *from, size_t at) {
  return kind == of_bytes    ? load_bytes((const int8_t *)from + at)
         : kind == of_halves ? load_halves((const half *)from + at)
                             : load((const float *)from + at);
}
INLINE void store(float *to, lanes values) { *(loose_lanes *)to = values; }
INLINE lanes larger(lanes a, lanes b) { return __builtin_elementwise_max(a, b); }
INLINE lanes smaller(lanes a, lanes b) { return __builtin_elementwise_min(a, b); }

#endif
