#if defined(__aarch64__)
#include <arm_neon.h>

#include "common.h"

#define TARGET __attribute__((target("arch=armv8.2-a+dotprod")))
#define LANES 4
#define VECTORS 4

#include "attention_kernel.h"
#include "norm_kernel.h"

enum { vector_rows = 4, vectors = tile_rows / vector_rows, tokens_at_once = 2 };

// `bits` and `tokens` are constants to the compiler. The instruction multiplies signed bytes: 8-bit weights come signed.
ALWAYS_INLINE TARGET void multiply(const struct matrix *matrix, size_t tile, const struct activations *activations,
                                   size_t first, float *out, const int bits, const size_t tokens) {
  const uint8_t *weights = matrix->data + tile * matrix->tile_bytes;
  const int8_t *values = activations->values + first * activations->stride;
  const uint8x16_t low = vdupq_n_u8(15);
  float32x4_t totals[tokens_at_once][vectors];
  for (size_t m = 0; m < tokens; m++)
    for (size_t v = 0; v < vectors; v++) totals[m][v] = vdupq_n_f32(0);
  for (size_t block = 0; block < matrix->blocks; block++) {
    const size_t entry = (tile * matrix->blocks + block) * tile_rows, columns = columns_in_block(matrix, block);
    int32x4_t sums[tokens_at_once][vectors];
    for (size_t v = 0; v < vectors; v++) {
      int32x4_t zero = vmovl_s16(vld1_s16(matrix->zero_points + entry + v * vector_rows));
      for (size_t m = 0; m < tokens; m++)
        sums[m][v] = vmulq_n_s32(zero, -activations->sums[(first + m) * matrix->blocks + block]);
    }
    for (size_t column = 0; column < columns; column += group_columns * 8 / (size_t)bits) {
      for (int part = 0; part < 8 / bits; part++, values += group_columns) {
        int8x16_t broadcast[tokens_at_once];
        for (size_t m = 0; m < tokens; m++) {
          int32_t four;
          memcpy(&four, values + m * activations->stride, sizeof four);
          broadcast[m] = vreinterpretq_s8_s32(vdupq_n_s32(four));
        }
        for (size_t v = 0; v < vectors; v++) {
          uint8x16_t row = vld1q_u8(weights + v * vector_rows * group_columns);
          if (bits == 4) row = part == 0 ? vandq_u8(row, low) : vshrq_n_u8(row, 4);
          for (size_t m = 0; m < tokens; m++)
            sums[m][v] = vdotq_s32(sums[m][v], vreinterpretq_s8_u8(row), broadcast[m]);
        }
      }
      weights += tile_rows * group_columns;
    }
    for (size_t v = 0; v < vectors; v++) {
      float32x4_t scale = vld1q_f32(matrix->scales + entry + v * vector_rows);
      for (size_t m = 0; m < tokens; m++) {
        float32x4_t both = vmulq_n_f32(scale, activations->scales[(first + m) * matrix->blocks + block]);
        totals[m][v] = vfmaq_f32(totals[m][v], vcvtq_f32_s32(sums[m][v]), both);
      }
    }
  }
  for (size_t m = 0; m < tokens; m++)
    for (size_t v = 0; v < vectors; v++) vst1q_f32(out + m * tile_rows + v * vector_rows, totals[m][v]);
}

TARGET static void multiply_any(const struct matrix *matrix, size_t tile, const struct activations *activations,
                                size_t first, size_t tokens, float *out) {
  for (; tokens >= tokens_at_once; tokens -= tokens_at_once, first += tokens_at_once, out += tokens_at_once * tile_rows) {
    if (matrix->bits == 4) multiply(matrix, tile, activations, first, out, 4, tokens_at_once);
    else multiply(matrix, tile, activations, first, out, 8, tokens_at_once);
  }
  if (tokens == 0) return;
  if (matrix->bits == 4) multiply(matrix, tile, activations, first, out, 4, 1);
  else multiply(matrix, tile, activations, first, out, 8, 1);
}

static void quantize_row(const float *row, size_t columns, size_t block, int8_t *values, float *scales, int32_t *sums) {
  quantize_blocks(row, columns, block, values, scales, sums);
}

static void gate(const float *gate, const float *up, size_t count, float *out) { gate_values(gate, up, count, out); }

const struct kernel neon_dot_kernel = {
    .name = "neon-dot",
    .signed_weights = true,
    .multiply = multiply_any,
    .quantize_row = quantize_row,
    .gate = gate,
    .normalize = normalize,
    .round_to_halves = round_to_halves,
    .round_to_bytes = round_to_bytes,
    .attend_halves = attend_halves,
    .attend_bytes = attend_bytes,
};
#endif
