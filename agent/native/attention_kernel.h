// The inner loops of attention in vectors of LANES floats, VECTORS of them side by side: both, and TARGET, are the including
// file's.
#include <string.h>

#include "lanes.h"

// Rows at once keep rows_at_once x VECTORS sums in registers. From `rows_to_turn` on, turning keys around pays.
enum { rows_at_once = 6, rows_to_turn = 12 };
// How many positions ahead of its use the cache is asked for: the processor's own prefetching stops where a page ends.
enum { positions_ahead = 64, line_bytes = 64 };

INLINE void ask_for(const char *from, size_t count) {
  for (size_t i = 0; i < count; i += line_bytes) __builtin_prefetch(from + i, 0, 2);
}

// `exponential` of each.
INLINE lanes exponentials(lanes value) {
  const float shift = 12582912.0f;
  value = larger(value, (lanes){0} - 87.0f);
  lanes n = (value * 1.44269504f + shift) - shift;
  lanes r = value - n * 0.693359375f + n * 2.12194440e-4f;
  lanes p = r * 1.9875691500e-4f + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  whole_lanes bits = (__builtin_convertvector(n, whole_lanes) + 127) << 23;
  return p * (lanes)bits;
}

// Of two vectors' runs of `step` lanes, the even ones of both and the odd ones of both.
#if LANES == 16
#define LOWER8 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23
#define UPPER8 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31
#define LOWER4 0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27
#define UPPER4 4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31
#define LOWER2 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29
#define UPPER2 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31
#define LOWER1 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30
#define UPPER1 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31
#elif LANES == 8
#define LOWER4 0, 1, 2, 3, 8, 9, 10, 11
#define UPPER4 4, 5, 6, 7, 12, 13, 14, 15
#define LOWER2 0, 1, 8, 9, 4, 5, 12, 13
#define UPPER2 2, 3, 10, 11, 6, 7, 14, 15
#define LOWER1 0, 8, 2, 10, 4, 12, 6, 14
#define UPPER1 1, 9, 3, 11, 5, 13, 7, 15
#elif LANES == 4
#define LOWER2 0, 1, 4, 5
#define UPPER2 2, 3, 6, 7
#define LOWER1 0, 4, 2, 6
#define UPPER1 1, 5, 3, 7
#endif
#define LOWER(step, a, b) __builtin_shufflevector(a, b, LOWER##step)
#define UPPER(step, a, b) __builtin_shufflevector(a, b, UPPER##step)

// Sums of each of LANES vectors, in their order: halves of two are added at a time, then quarters, and so on.
#define FOLD(step)                                                                                              \
  for (int i = 0; i < step; i++)                                                                                \
    vectors[i] = LOWER(step, vectors[i], vectors[i + step]) + UPPER(step, vectors[i], vectors[i + step]);
// Exchanges lane i of vector j with lane j of vector i, in the same steps.
#define TURN(step)                                                                                              \
  for (int from = 0; from < LANES; from += 2 * step)                                                            \
    for (int i = from; i < from + step; i++) {                                                                  \
      lanes even = LOWER(step, vectors[i], vectors[i + step]), odd = UPPER(step, vectors[i], vectors[i + step]); \
      vectors[i] = even;                                                                                        \
      vectors[i + step] = odd;                                                                                  \
    }
#if LANES == 16
#define ALL_STEPS(what) what(8) what(4) what(2) what(1)
#elif LANES == 8
#define ALL_STEPS(what) what(4) what(2) what(1)
#elif LANES == 4
#define ALL_STEPS(what) what(2) what(1)
#endif

INLINE lanes sum_lanes(lanes *vectors) {
  ALL_STEPS(FOLD)
  return vectors[0];
}

// out[m][n] (+)= a[m][k] * b[k][n] over k < count, for m < rows and n < vectors * LANES; where `b` is the cache, and not
// floats, later positions are asked for.
INLINE void multiply_panel(const float *a, size_t a_stride, const void *b, size_t b_stride, size_t count, float *out,
                           size_t out_stride, bool adds, const enum element kind, const size_t rows, const size_t vectors) {
  lanes sums[rows_at_once][VECTORS];
  for (size_t m = 0; m < rows; m++)
    for (size_t v = 0; v < vectors; v++) sums[m][v] = adds ? load(out + m * out_stride + v * LANES) : (lanes){0};
  for (size_t k = 0; k < count; k++) {
    lanes row[VECTORS];
    for (size_t v = 0; v < vectors; v++) row[v] = load_as(kind, b, k * b_stride + v * LANES);
    if (kind != of_floats)
      ask_for((const char *)b + (k + positions_ahead) * b_stride * size_of(kind), vectors * LANES * size_of(kind));
    for (size_t m = 0; m < rows; m++)
      for (size_t v = 0; v < vectors; v++) sums[m][v] += row[v] * a[m * a_stride + k];
  }
  for (size_t m = 0; m < rows; m++)
    for (size_t v = 0; v < vectors; v++) store(out + m * out_stride + v * LANES, sums[m][v]);
}

#define PANEL(rows, vectors)                                                                                             \
  multiply_panel(a, a_stride, (const char *)b + n * size_of(kind), b_stride, count, out + n, out_stride, adds, kind, rows, \
                 vectors)
#define PANELS(rows)                                                                                   \
  case rows:                                                                                           \
    for (; n + VECTORS * LANES <= columns; n += VECTORS * LANES)                                       \
      PANEL(rows, VECTORS);                                                                            \
    for (; n < columns; n += LANES)                                                                    \
      PANEL(rows, 1);                                                                                  \
    break;

// The same for any number of rows, and of columns that is a multiple of LANES.
INLINE void multiply_matrices(const float *a, size_t a_stride, size_t rows, const void *b, size_t b_stride, size_t count,
                              float *out, size_t out_stride, size_t columns, bool adds, const enum element kind) {
  for (size_t m = 0; m < rows; m += rows_at_once, a += rows_at_once * a_stride, out += rows_at_once * out_stride) {
    size_t n = 0;
    switch (rows - m < rows_at_once ? rows - m : rows_at_once) {
      PANELS(1) PANELS(2) PANELS(3) PANELS(4) PANELS(5) PANELS(6)
    }
  }
}

// Scores of a query with LANES positions.
INLINE lanes score_lanes(const float *query, const float *keys, size_t size) {
  lanes sums[LANES];
  for (size_t i = 0; i < LANES; i++) sums[i] = (lanes){0};
  for (size_t d = 0; d < size; d += LANES) {
    lanes part = load(query + d);
    for (size_t i = 0; i < LANES; i++) sums[i] += part * load(keys + i * size + d);
  }
  return sum_lanes(sums);
}

// scores[rows][position_block] of few queries with `count` positions: keys [count][size] are used as they lie.
INLINE void score_directly(const float *queries, size_t rows, size_t size, const void *keys, const enum element kind,
                           size_t count, float *scores) {
  float unpacked[LANES * most_head_size];
  for (size_t at = 0; at < count; at += LANES) {
    size_t there = least(count - at, LANES) * size;
    ask_for((const char *)keys + (at + positions_ahead) * size * size_of(kind), there * size_of(kind));
    for (size_t i = 0; i < there; i += LANES) store(unpacked + i, load_as(kind, keys, at * size + i));
    memset(unpacked + there, 0, (LANES * size - there) * sizeof *unpacked);
    for (size_t row = 0; row < rows; row++)
      store(scores + row * position_block + at, score_lanes(queries + row * size, unpacked, size));
  }
}

// The same of many: keys are turned around first, [size][position_block].
INLINE void score_turned(const float *queries, size_t rows, size_t size, const void *keys, const enum element kind,
                         size_t count, float *scores) {
  float turned[most_head_size * position_block];
  for (size_t at = 0; at < position_block; at += LANES)
    for (size_t d = 0; d < size; d += LANES) {
      lanes vectors[LANES];
      for (size_t i = 0; i < LANES; i++)
        vectors[i] = at + i < count ? load_as(kind, keys, (at + i) * size + d) : (lanes){0};
      ALL_STEPS(TURN)
      for (size_t i = 0; i < LANES; i++) store(turned + (d + i) * position_block + at, vectors[i]);
    }
  multiply_matrices(queries, size, rows, turned, position_block, size, scores, position_block, position_block, false,
                    of_floats);
}

// Adds a block's values [count][size], weighted, to the sums of all rows.
INLINE void add_values(const float *weights, size_t rows, size_t size, const void *values, const enum element kind,
                       size_t count, float *sums) {
  if (rows < rows_to_turn) {
    multiply_matrices(weights, position_block, rows, values, size, count, sums, size, size, true, kind);
    return;
  }
  float unpacked[position_block * most_head_size];
  for (size_t i = 0; i < count * size; i += LANES) store(unpacked + i, load_as(kind, values, i));
  multiply_matrices(weights, position_block, rows, unpacked, size, count, sums, size, size, true, of_floats);
}

TARGET static void round_to_halves(const float *from, size_t count, half *to) {
  const lanes most = (lanes){0} + 65504.0f;
  for (size_t i = 0; i < count; i += LANES)
    *(loose_halves *)(to + i) = __builtin_convertvector(larger(smaller(load(from + i), most), -most), loose_halves);
}

TARGET static void round_to_bytes(const float *from, const float *scales, size_t count, int8_t *to) {
  const float shift = 12582912.0f;
  const lanes most = (lanes){0} + 127.0f;
  for (size_t i = 0; i < count; i += LANES) {
    lanes codes = larger(smaller(load(from + i) / load(scales + i), most), -most);
    *(loose_bytes *)(to + i) = __builtin_convertvector((codes + shift) - shift, loose_bytes);
  }
}

// Makes weights of a row's scores, of which it sees the first `seen`, and rescales what it has seen before.
INLINE void weigh(struct attention_rows *rows, size_t row, float *scores, size_t seen) {
  lanes most = (lanes){0} + rows->largest[row], sum = {0};
  for (size_t i = seen; i < position_block; i++) scores[i] = rows->largest[row];
  for (size_t i = 0; i < position_block; i += LANES) most = larger(most, load(scores + i));
  float largest = most[0];
  for (size_t i = 1; i < LANES; i++) largest = largest < most[i] ? most[i] : largest;
  for (size_t i = 0; i < position_block; i += LANES) store(scores + i, exponentials(load(scores + i) - largest));
  for (size_t i = seen; i < position_block; i++) scores[i] = 0;
  for (size_t i = 0; i < position_block; i += LANES) sum += load(scores + i);
  float total = 0;
  for (size_t i = 0; i < LANES; i++) total += sum[i];
  if (largest > rows->largest[row]) {
    float before = exponential(rows->largest[row] - largest);
    for (size_t d = 0; d < rows->head_size; d += LANES)
      store(rows->sums + row * rows->head_size + d, before * load(rows->sums + row * rows->head_size + d));
    rows->totals[row] *= before;
    rows->largest[row] = largest;
  }
  rows->totals[row] += total;
}

INLINE void attend_rows(struct attention_rows *rows, const void *keys, const void *values, const enum element kind,
                        size_t from, size_t to) {
  float scores[most_rows * position_block];
  const size_t size = rows->head_size;
  for (; from < to; from += position_block) {
    size_t count = to - from < position_block ? to - from : position_block;
    size_t skipped = from < rows->first_sees ? 0 : (from - rows->first_sees + 1) * rows->group;
    if (skipped >= rows->rows) return;
    size_t left = rows->rows - skipped;
    const float *queries = rows->queries + skipped * size;
    const char *block_keys = (const char *)keys + from * size * size_of(kind);
    if (left < rows_to_turn) score_directly(queries, left, size, block_keys, kind, count, scores);
    else score_turned(queries, left, size, block_keys, kind, count, scores);
    for (size_t i = 0; i < left; i++) {
      size_t sees = rows->first_sees + (skipped + i) / rows->group - from;
      weigh(rows, skipped + i, scores + i * position_block, sees < count ? sees : count);
    }
    const char *block_values = (const char *)values + from * size * size_of(kind);
    add_values(scores, left, size, block_values, kind, count, rows->sums + skipped * size);
  }
}

TARGET static void attend_halves(struct attention_rows *rows, const half *keys, const half *values, size_t from, size_t to) {
  attend_rows(rows, keys, values, of_halves, from, to);
}

TARGET static void attend_bytes(struct attention_rows *rows, const int8_t *keys, const int8_t *values, size_t from,
                                size_t to) {
  attend_rows(rows, keys, values, of_bytes, from, to);
}
