// Queries that read one key and value head, and what they have seen of it so far.
#ifndef ESPALIER_ATTENTION_ROWS_H
#define ESPALIER_ATTENTION_ROWS_H

#include <stddef.h>
#include <stdint.h>

// What the cache holds: halves, or bytes that a scale per channel turns into values. Kernels unpack both to floats.
typedef _Float16 half;
enum element { of_floats, of_halves, of_bytes };

// Positions whose scores are held at once, and the most of queries' elements and of rows.
enum { position_block = 64, most_row_elements = 6144, most_rows = 96, most_head_size = 256 };

// The softmax is kept up as positions come (Milakov and Gimelshein, arXiv:1805.02867): `sums` are of values weighted by
// e^(score - largest), `totals` of the weights.
struct attention_rows {
  size_t rows, head_size;
  size_t group;       // neighbouring rows that see equally many positions
  size_t first_sees;  // positions that the first group sees: each later one sees one more
  float *queries;     // [rows][head_size], scaled
  float *sums;        // [rows][head_size]
  float *largest, *totals;  // [rows]
};

#endif
