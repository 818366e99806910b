#if defined(__x86_64__)
#include <immintrin.h>

#include "common.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,avx2")))
#define LANES 16
#define VECTORS 4

#include "attention_kernel.h"
#include "norm_kernel.h"

// How far ahead of their use weights are asked for: the processor's own prefetching stops where a page ends.
enum { prefetch_bytes = 2048, group_bytes = tile_rows * group_columns, halves = 2 };

// Sums of a tile with `tokens` rows of activations, all in registers: `bits` and `tokens` are constants to the compiler.
ALWAYS_INLINE TARGET void multiply(const struct matrix *matrix, size_t tile, const struct activations *activations,
                                   size_t first, float *out, const int bits, const size_t tokens) {
  const uint8_t *weights = matrix->data + tile * matrix->tile_bytes;
  const int8_t *values = activations->values + first * activations->stride;
  const __m512i low = _mm512_set1_epi8(15);
  __m512 totals[max_kernel_tokens][halves];
  for (size_t m = 0; m < tokens; m++)
    for (size_t h = 0; h < halves; h++) totals[m][h] = _mm512_setzero_ps();
  for (size_t block = 0; block < matrix->blocks; block++) {
    const size_t entry = (tile * matrix->blocks + block) * tile_rows, columns = columns_in_block(matrix, block);
    __m512i sums[max_kernel_tokens][halves];
    for (size_t h = 0; h < halves; h++) {
      const __m256i *zeros = (const __m256i *)(matrix->zero_points + entry + h * half_rows);
      __m512i zero = _mm512_cvtepi16_epi32(_mm256_loadu_si256(zeros));
      for (size_t m = 0; m < tokens; m++) {
        int32_t sum = activations->sums[(first + m) * matrix->blocks + block];
        sums[m][h] = _mm512_mullo_epi32(zero, _mm512_set1_epi32(-sum));
      }
    }
    for (size_t column = 0; column < columns; column += group_columns * 8 / (size_t)bits) {
      __m512i packed[halves];
      for (size_t h = 0; h < halves; h++) {
        packed[h] = _mm512_loadu_si512(weights + h * group_bytes / halves);
        _mm_prefetch((const char *)weights + prefetch_bytes + h * group_bytes / halves, _MM_HINT_T0);
      }
      weights += group_bytes;
      for (int part = 0; part < 8 / bits; part++) {
        __m512i row[halves];
        for (size_t h = 0; h < halves; h++)
          row[h] = bits == 8   ? packed[h]
                   : part == 0 ? _mm512_and_si512(packed[h], low)
                               : _mm512_and_si512(_mm512_srli_epi16(packed[h], 4), low);
        for (size_t m = 0; m < tokens; m++) {
          int32_t four;
          memcpy(&four, values + m * activations->stride + part * group_columns, sizeof four);
          __m512i broadcast = _mm512_set1_epi32(four);
          for (size_t h = 0; h < halves; h++) sums[m][h] = _mm512_dpbusd_epi32(sums[m][h], row[h], broadcast);
        }
      }
      values += group_columns * 8 / (size_t)bits;
    }
    for (size_t h = 0; h < halves; h++) {
      __m512 scale = _mm512_loadu_ps(matrix->scales + entry + h * half_rows);
      for (size_t m = 0; m < tokens; m++) {
        __m512 both = _mm512_mul_ps(scale, _mm512_set1_ps(activations->scales[(first + m) * matrix->blocks + block]));
        totals[m][h] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[m][h]), both, totals[m][h]);
      }
    }
  }
  for (size_t m = 0; m < tokens; m++)
    for (size_t h = 0; h < halves; h++) _mm512_storeu_ps(out + m * tile_rows + h * half_rows, totals[m][h]);
}

#define CASE(tokens)                                                                              \
  case tokens:                                                                                    \
    if (matrix->bits == 4) multiply(matrix, tile, activations, first, out, 4, tokens);            \
    else multiply(matrix, tile, activations, first, out, 8, tokens);                              \
    break;

TARGET static void multiply_any(const struct matrix *matrix, size_t tile, const struct activations *activations,
                                size_t first, size_t tokens, float *out) {
  switch (tokens) {
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6)
  }
}

TARGET static void quantize_row(const float *row, size_t columns, size_t block, int8_t *values, float *scales,
                                int32_t *sums) {
  quantize_blocks(row, columns, block, values, scales, sums);
}

TARGET static void gate(const float *gate, const float *up, size_t count, float *out) {
  gate_values(gate, up, count, out);
}

const struct kernel avx512_vnni_kernel = {
    .name = "avx512-vnni",
    .signed_weights = false,
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
