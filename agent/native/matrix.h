// A quantized matrix as the kernels read it, and the activations they multiply it with.
#ifndef ESPALIER_MATRIX_H
#define ESPALIER_MATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Rows of a matrix that are multiplied at once: a tile. A gate's and its up projection's share one half and half.
enum { tile_rows = 32, half_rows = 16 };
// Neighbouring columns that one instruction multiplies and adds per row.
enum { group_columns = 4 };
// Most rows of activations that a kernel keeps sums of in registers.
enum { max_kernel_tokens = 6 };

// `rows` x `columns` of `bits` (4 or 8), each block of `block` columns with a scale and a zero point per row.
//
// Tiles lie one after another; within a tile, groups of columns; within a group, its rows' 4 columns side by side: 128 bytes
// that are read in their order. At 4 bits such 128 bytes hold two groups, the first in the low halves. Padding columns meet
// zero activations and padding rows are not copied out, hence their values are of no account.
struct matrix {
  size_t rows, columns, block, blocks, tiles, tile_bytes;
  int bits;
  uint8_t *data;
  float *scales;         // [tiles][blocks][tile_rows]
  int16_t *zero_points;  // [tiles][blocks][tile_rows]
  void *memory;
};

// Rows of activations, each block of columns as `scales` x a signed byte, rounded to nearest.
struct activations {
  size_t rows, stride;  // `stride` columns from one row to the next, the last of them zero
  int8_t *values;       // [rows][stride]
  float *scales;        // [rows][blocks]
  int32_t *sums;        // [rows][blocks]: of the block's values
};

// Sums of `tokens` rows of activations from `first` on with a tile: out[token][tile_rows].
typedef void multiply_tile(const struct matrix *matrix, size_t tile, const struct activations *activations, size_t first,
                           size_t tokens, float *out);

struct attention_rows;

// One processor's way: what `dispatch.c` chooses from.
struct kernel {
  const char *name;
  bool signed_weights;  // wants 8-bit weights and their zero points less 128
  multiply_tile *multiply;
  void (*quantize_row)(const float *row, size_t columns, size_t block, int8_t *values, float *scales, int32_t *sums);
  void (*gate)(const float *gate, const float *up, size_t count, float *out);  // silu(gate) * up
  // sum = row + residual; normed = sum over its root mean square, times `weights`.
  void (*normalize)(const float *row, const float *residual, const float *weights, float epsilon, size_t count, float *sum,
                    float *normed);
  // The same in the cache: as halves, or as bytes of `scales` each. What is beyond the largest becomes that.
  void (*round_to_halves)(const float *from, size_t count, _Float16 *to);
  void (*round_to_bytes)(const float *from, const float *scales, size_t count, int8_t *to);
  // Lets rows see positions [from, to) of `keys` and `values` [positions][head_size].
  void (*attend_halves)(struct attention_rows *rows, const _Float16 *keys, const _Float16 *values, size_t from, size_t to);
  void (*attend_bytes)(struct attention_rows *rows, const int8_t *keys, const int8_t *values, size_t from, size_t to);
};

// The kernel of this name, or for a null name the fastest that is worth using here. Null when this processor has none.
const struct kernel *choose_kernel(const char *name);

extern const struct kernel portable_kernel;
#if defined(__x86_64__)
extern const struct kernel avx512_vnni_kernel, avx2_kernel;
#elif defined(__aarch64__)
extern const struct kernel neon_dot_kernel;
#endif

#endif
