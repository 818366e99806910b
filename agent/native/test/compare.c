// Compares the kernels that this processor runs: products with the portable one's, on random matrices of odd sizes, exact but
// for the order in which blocks are added (behind a norm, an activation may be rounded the other way); attention with the
// formula, in doubles. For processors that tests don't run on (under an emulator). Prints what it compared.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../attention.h"
#include "../linear.h"
#include "../pack.h"

static void in_order(void *runner, size_t count, void (*part)(void *work, size_t i), void *work) {
  (void)runner;
  for (size_t i = 0; i < count; i++) part(work, i);
}

static uint32_t state = 1;
static uint32_t next(void) { return (state = state * 1664525u + 1013904223u) >> 8; }

static void *filled(size_t bytes) {
  uint8_t *memory = malloc(bytes);
  for (size_t i = 0; i < bytes; i++) memory[i] = (uint8_t)next();
  return memory;
}

static float *floats(size_t count, float from, float to) {
  float *values = malloc(count * sizeof *values);
  for (size_t i = 0; i < count; i++) values[i] = from + (to - from) * (float)(next() % 65536) / 65536.0f;
  return values;
}

static double difference(const char *name, int bits, size_t block, size_t columns, size_t rows, size_t tokens, bool gated,
                         bool normed) {
  size_t blocks = (columns + block - 1) / block;
  size_t bytes = rows * blocks * block * (size_t)bits / 8;
  struct stored_matrix stored = {rows, columns, block, bits, bytes, filled(bytes),
                                 floats(rows * blocks, 0.01f, 0.02f),
                                 bits == 4 ? filled(rows * ((blocks * 4 + 7) / 8)) : NULL};
  float *input = floats(tokens * columns, -1, 1), *outputs[2], *added = malloc(tokens * columns * sizeof(float));
  struct norm norm = {floats(tokens * columns, -1, 1), floats(columns, 0, 2), 1e-5f, added};
  size_t width = gated ? rows / 2 : rows;
  const char *names[2] = {"portable", name};
  for (int i = 0; i < 2; i++) {
    const struct kernel *kernel = choose_kernel(names[i]);
    struct matrix matrix;
    outputs[i] = malloc(tokens * width * sizeof(float));
    if (!pack_matrix(&stored, kernel, gated, &matrix)) abort();
    linear(kernel, &matrix, gated, normed ? &norm : NULL, input, tokens, outputs[i], in_order, NULL);
    free_matrix(&matrix);
  }
  double most = 0, largest = 0;
  for (size_t i = 0; i < tokens * width; i++) {
    most = fmax(most, fabs(outputs[0][i] - outputs[1][i]));
    largest = fmax(largest, fabs(outputs[0][i]));
  }
  return most / largest;
}

enum { heads = 6, kv_heads = 2, group = heads / kv_heads, capacity = 400, table_rows = capacity };

// Element i of a head at a position, turned.
static double turned(const float *head, size_t size, size_t i, size_t position, const float *cosines, const float *sines) {
  size_t half_size = size / 2, at = position * half_size + i % half_size;
  double other = head[(i + half_size) % size];
  return head[i] * (double)cosines[at] + (i < half_size ? -other : other) * (double)sines[at];
}

static double attention_difference(const char *name, size_t size, size_t past, size_t tokens) {
  size_t stride = (heads + 2 * kv_heads) * size, cached = kv_heads * capacity * size, all = past + tokens;
  float *new = floats(tokens * stride, -1, 1), *old = floats(2 * cached, -1, 1);
  float *cosines = floats(table_rows * size / 2, -1, 1), *sines = floats(table_rows * size / 2, -1, 1);
  half *cache = malloc(2 * cached * sizeof *cache);
  float *output = malloc(tokens * heads * size * sizeof *output);
  for (size_t i = 0; i < 2 * cached; i++) cache[i] = (half)old[i];
  struct attention attention = {heads, kv_heads, size, tokens, past, stride, new, stride, new + heads * size,
                                new + (heads + kv_heads) * size, size, cosines, sines, capacity, cache, cache + cached, output};
  if (!attend(choose_kernel(name), &attention, in_order, NULL)) abort();
  double most = 0, largest = 0, weights[capacity];
  for (size_t token = 0; token < tokens; token++)
    for (size_t head = 0; head < heads; head++) {
      size_t sees = past + token + 1, from = head / group * capacity * size;
      const float *query = new + token * stride + head * size;
      double total = 0;
      for (size_t position = 0; position < sees; position++) {
        double score = 0;
        for (size_t i = 0; i < size; i++)
          score += turned(query, size, i, past + token, cosines, sines) * (double)cache[from + position * size + i];
        total += weights[position] = exp(score / sqrt((double)size));
      }
      for (size_t i = 0; i < size; i++) {
        double sum = 0;
        for (size_t position = 0; position < sees; position++)
          sum += weights[position] / total * (double)cache[cached + from + position * size + i];
        most = fmax(most, fabs(sum - output[(token * heads + head) * size + i]));
        largest = fmax(largest, fabs(sum));
      }
    }
  // What was written into the cache: a head's elements turned, and rounded to halves.
  for (size_t position = past; position < all; position++)
    for (size_t i = 0; i < size; i++) {
      const float *key = new + (position - past) * stride + heads * size;
      double wanted = turned(key, size, i, position, cosines, sines);
      if (fabs(wanted - (double)cache[position * size + i]) > 1e-3) return 1;
    }
  return most / largest;
}

int main(void) {
  static const char *const names[] = {"avx512-vnni", "avx2", "neon-dot"};
  int compared = 0, failed = 0, others = 0;
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    if (choose_kernel(names[k]) == NULL) continue;
    others++;
    for (int bits = 4; bits <= 8; bits += 4)
      for (size_t tokens = 1; tokens <= 13; tokens += 3)
        for (int way = 0; way < 4; way++) {
          bool gated = way % 2, normed = way / 2;
          double off = difference(names[k], bits, 32, 172, 90, tokens, gated, normed), limit = normed ? 5e-3 : 1e-5;
          compared++;
          if (off <= limit) continue;
          failed++;
          printf("%s: %d bits, %zu tokens, gated %d, normed %d: off by %g of the largest value\n", names[k], bits, tokens,
                 gated, normed, off);
        }
  }
  static const char *const attending[] = {"portable", "avx512-vnni", "avx2", "neon-dot"};
  static const size_t sizes[] = {16, 64, 80}, pasts[] = {0, 70, 300}, counts[] = {1, 3, 40};
  for (size_t k = 0; k < sizeof attending / sizeof *attending; k++) {
    if (choose_kernel(attending[k]) == NULL) continue;
    for (int i = 0; i < 27; i++) {
      size_t size = sizes[i % 3], past = pasts[i / 3 % 3], tokens = counts[i / 9];
      double off = attention_difference(attending[k], size, past, tokens);
      compared++;
      if (off <= 1e-5) continue;
      failed++;
      printf("%s: heads of %zu, %zu tokens behind %zu: off by %g\n", attending[k], size, tokens, past, off);
    }
  }
  printf("%d comparisons, %d failed\n", compared, failed);
  return others == 0 || failed > 0;
}
