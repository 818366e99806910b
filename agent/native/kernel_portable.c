#include "common.h"

#define TARGET
#define LANES 4
#define VECTORS 2

#include "attention_kernel.h"
#include "norm_kernel.h"

// In the words of C: what the others are tested against, and what runs where none of them can.
static void multiply(const struct matrix *matrix, size_t tile, const struct activations *activations, size_t first,
                     size_t tokens, float *out) {
  for (size_t m = first; m < first + tokens; m++, out += tile_rows) {
    const uint8_t *weights = matrix->data + tile * matrix->tile_bytes;
    const int8_t *values = activations->values + m * activations->stride;
    for (size_t row = 0; row < tile_rows; row++) out[row] = 0;
    for (size_t block = 0; block < matrix->blocks; block++) {
      size_t entry = (tile * matrix->blocks + block) * tile_rows, columns = columns_in_block(matrix, block);
      size_t of_row = m * matrix->blocks + block;
      int32_t sums[tile_rows];
      for (size_t row = 0; row < tile_rows; row++)
        sums[row] = -activations->sums[of_row] * matrix->zero_points[entry + row];
      for (size_t column = 0; column < columns; weights += tile_rows * group_columns)
        for (int part = 0; part < 8 / matrix->bits; part++, column += group_columns, values += group_columns)
          for (size_t row = 0; row < tile_rows; row++)
            for (size_t i = 0; i < group_columns; i++) {
              int packed = weights[row * group_columns + i];
              sums[row] += values[i] * (matrix->bits == 8 ? packed : packed >> (4 * part) & 15);
            }
      for (size_t row = 0; row < tile_rows; row++)
        out[row] += (float)sums[row] * (matrix->scales[entry + row] * activations->scales[of_row]);
    }
  }
}

static void quantize_row(const float *row, size_t columns, size_t block, int8_t *values, float *scales, int32_t *sums) {
  quantize_blocks(row, columns, block, values, scales, sums);
}

static void gate(const float *gate, const float *up, size_t count, float *out) { gate_values(gate, up, count, out); }

const struct kernel portable_kernel = {
    .name = "portable",
    .signed_weights = false,
    .multiply = multiply,
    .quantize_row = quantize_row,
    .gate = gate,
    .normalize = normalize,
    .round_to_halves = round_to_halves,
    .round_to_bytes = round_to_bytes,
    .attend_halves = attend_halves,
    .attend_bytes = attend_bytes,
};
