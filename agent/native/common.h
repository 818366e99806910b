// What kernels have in common, compiled for each one's instructions by a target attribute of the including file.
#ifndef ESPALIER_COMMON_H
#define ESPALIER_COMMON_H

#include <string.h>

#include "matrix.h"

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static inline size_t least(size_t a, size_t b) { return a < b ? a : b; }

static inline size_t columns_in_block(const struct matrix *matrix, size_t block) {
  size_t left = matrix->columns - block * matrix->block;
  return left < matrix->block ? left : matrix->block;
}

// Rounded to the nearest, ties to even: adding 1.5 * 2^23 leaves no bits for a fraction.
ALWAYS_INLINE float rounded(float value) {
  const float shift = 12582912.0f;
  return (value + shift) - shift;
}

// e^value to 2e-7 of itself, by e^(n ln 2 + r) with |r| <= ln 2 / 2 and a polynomial in r.
ALWAYS_INLINE float exponential(float value) {
  value = value < -87.0f ? -87.0f : value > 88.0f ? 88.0f : value;
  float n = rounded(value * 1.44269504f);
  float r = value - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * r * r + r + 1.0f;
  int32_t bits = ((int32_t)n + 127) << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return p * power;
}

ALWAYS_INLINE void gate_values(const float *restrict gate, const float *restrict up, size_t count, float *restrict out) {
  for (size_t i = 0; i < count; i++) out[i] = gate[i] / (1.0f + exponential(-gate[i])) * up[i];
}

ALWAYS_INLINE void quantize_block(const float *restrict block, size_t columns, int8_t *restrict values, float *scale,
                                  int32_t *sum) {
  // Sizes of floats are ordered as their bits are, and compilers find the largest of whole numbers in vectors.
  uint32_t largest_bits = 0;
  for (size_t i = 0; i < columns; i++) {
    uint32_t bits;
    memcpy(&bits, block + i, sizeof bits);
    bits &= 0x7fffffffu;
    largest_bits = bits > largest_bits ? bits : largest_bits;
  }
  float largest;
  memcpy(&largest, &largest_bits, sizeof largest);
  float inverse = largest > 0 ? 127.0f / largest : 0;
  int32_t total = 0;
  for (size_t i = 0; i < columns; i++) {
    int32_t value = (int32_t)rounded(block[i] * inverse);
    values[i] = (int8_t)value;
    total += value;
  }
  *scale = largest / 127.0f;
  *sum = total;
}

ALWAYS_INLINE void quantize_blocks(const float *row, size_t columns, size_t block, int8_t *values, float *scales,
                                   int32_t *sums) {
  for (size_t start = 0, i = 0; start < columns; start += block, i++) {
    size_t width = columns - start < block ? columns - start : block;
    quantize_block(row + start, width, values + start, scales + i, sums + i);
  }
}

#endif
