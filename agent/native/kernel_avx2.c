#if defined(__x86_64__)
#include <immintrin.h>

#include "common.h"

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define LANES 8
#define VECTORS 2

#include "attention_kernel.h"
#include "norm_kernel.h"

enum { vector_rows = 8, vectors = tile_rows / vector_rows, tokens_at_once = 2 };

// Adds four products per row. Bytes are multiplied as unsigned times signed and added in pairs of 16 bits, which 15 x 127
// can't overflow, nor can 128 x 127: so 8-bit weights come signed, and their sign goes over to the activations.
ALWAYS_INLINE TARGET __m256i add_products(__m256i sums, __m256i weights, __m256i values, const int bits) {
  __m256i products = bits == 4 ? _mm256_maddubs_epi16(weights, values)
                               : _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(values, weights));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(products, _mm256_set1_epi16(1)));
}

// `bits` and `tokens` are constants to the compiler.
ALWAYS_INLINE TARGET void multiply(const struct matrix *matrix, size_t tile, const struct activations *activations,
                                   size_t first, float *out, const int bits, const size_t tokens) {
  const uint8_t *weights = matrix->data + tile * matrix->tile_bytes;
  const int8_t *values = activations->values + first * activations->stride;
  const __m256i low = _mm256_set1_epi8(15);
  __m256 totals[tokens_at_once][vectors];
  for (size_t m = 0; m < tokens; m++)
    for (size_t v = 0; v < vectors; v++) totals[m][v] = _mm256_setzero_ps();
  for (size_t block = 0; block < matrix->blocks; block++) {
    const size_t entry = (tile * matrix->blocks + block) * tile_rows, columns = columns_in_block(matrix, block);
    __m256i sums[tokens_at_once][vectors];
    for (size_t v = 0; v < vectors; v++) {
      const __m128i *zeros = (const __m128i *)(matrix->zero_points + entry + v * vector_rows);
      __m256i zero = _mm256_cvtepi16_epi32(_mm_loadu_si128(zeros));
      for (size_t m = 0; m < tokens; m++) {
        int32_t sum = activations->sums[(first + m) * matrix->blocks + block];
        sums[m][v] = _mm256_mullo_epi32(zero, _mm256_set1_epi32(-sum));
      }
    }
    for (size_t column = 0; column < columns; column += group_columns * 8 / (size_t)bits) {
      for (int part = 0; part < 8 / bits; part++, values += group_columns) {
        __m256i broadcast[tokens_at_once];
        for (size_t m = 0; m < tokens; m++) {
          int32_t four;
          memcpy(&four, values + m * activations->stride, sizeof four);
          broadcast[m] = _mm256_set1_epi32(four);
        }
        for (size_t v = 0; v < vectors; v++) {
          __m256i row = _mm256_loadu_si256((const __m256i *)weights + v);
          if (bits == 4) row = _mm256_and_si256(part == 0 ? row : _mm256_srli_epi16(row, 4), low);
          for (size_t m = 0; m < tokens; m++) sums[m][v] = add_products(sums[m][v], row, broadcast[m], bits);
        }
      }
      weights += tile_rows * group_columns;
    }
    for (size_t v = 0; v < vectors; v++) {
      __m256 scale = _mm256_loadu_ps(matrix->scales + entry + v * vector_rows);
      for (size_t m = 0; m < tokens; m++) {
        __m256 both = _mm256_mul_ps(scale, _mm256_set1_ps(activations->scales[(first + m) * matrix->blocks + block]));
        totals[m][v] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[m][v]), both, totals[m][v]);
      }
    }
  }
  for (size_t m = 0; m < tokens; m++)
    for (size_t v = 0; v < vectors; v++) _mm256_storeu_ps(out + m * tile_rows + v * vector_rows, totals[m][v]);
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

TARGET static void quantize_row(const float *row, size_t columns, size_t block, int8_t *values, float *scales,
                                int32_t *sums) {
  quantize_blocks(row, columns, block, values, scales, sums);
}

TARGET static void gate(const float *gate, const float *up, size_t count, float *out) {
  gate_values(gate, up, count, out);
}

const struct kernel avx2_kernel = {
    .name = "avx2",
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
