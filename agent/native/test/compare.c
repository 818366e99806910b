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

// Elements of a cache: keys of all heads, then values. `scales` are those of their channels, where they are bytes.
struct cache {
  size_t head_size;
  half *halves;
  int8_t *bytes;
  float *scales;  // [2][kv_heads][head_size], or null
};

static double scale_of(const struct cache *cache, size_t i) {
  size_t size = cache->head_size;
  return cache->scales == NULL ? 1 : cache->scales[i / (capacity * size) * size + i % size];
}

static double element(const struct cache *cache, size_t i) {
  return cache->scales == NULL ? (double)cache->halves[i] : cache->bytes[i] * scale_of(cache, i);
}

static struct cache filled_cache(size_t size, bool in_bytes) {
  size_t count = 2 * kv_heads * capacity * size;
  struct cache cache = {size, malloc(count * sizeof(half)), filled(count), in_bytes ? floats(2 * kv_heads * size, 0.002f, 0.01f) : NULL};
  float *old = floats(count, -1, 1);
  for (size_t i = 0; i < count; i++) cache.halves[i] = (half)old[i];
  return cache;
}

static double attention_difference(const char *name, size_t size, size_t past, size_t tokens, bool in_bytes) {
  size_t stride = (heads + 2 * kv_heads) * size, cached = kv_heads * capacity * size, all = past + tokens;
  float *new = floats(tokens * stride, -1, 1), *output = malloc(tokens * heads * size * sizeof *output);
  float *cosines = floats(table_rows * size / 2, -1, 1), *sines = floats(table_rows * size / 2, -1, 1);
  struct cache cache = filled_cache(size, in_bytes);
  struct attention attention = {
      .heads = heads, .kv_heads = kv_heads, .head_size = size, .tokens = tokens, .past = past, .stride = stride, .queries = new,
      .key_stride = stride, .keys = new + heads * size, .values = new + (heads + kv_heads) * size, .rotated = size,
      .cosines = cosines, .sines = sines, .capacity = capacity, .key_cache = cache.halves, .value_cache = cache.halves + cached,
      .output = output};
  if (in_bytes) {
    attention.key_cache = cache.bytes;
    attention.value_cache = cache.bytes + cached;
    attention.key_scales = cache.scales;
    attention.value_scales = cache.scales + kv_heads * size;
  }
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
          score += turned(query, size, i, past + token, cosines, sines) * element(&cache, from + position * size + i);
        total += weights[position] = exp(score / sqrt((double)size));
      }
      for (size_t i = 0; i < size; i++) {
        double sum = 0;
        for (size_t position = 0; position < sees; position++)
          sum += weights[position] / total * element(&cache, cached + from + position * size + i);
        most = fmax(most, fabs(sum - output[(token * heads + head) * size + i]));
        largest = fmax(largest, fabs(sum));
      }
    }
  // What was written into the cache: a head's elements turned, and rounded to halves, or to bytes as far as they reach.
  for (size_t position = past; position < all; position++)
    for (size_t i = 0; i < size; i++) {
      const float *key = new + (position - past) * stride + heads * size;
      double wanted = turned(key, size, i, position, cosines, sines);
      double scale = scale_of(&cache, position * size + i), reach = in_bytes ? 127 * scale : 2;
      double off = fabs(fmax(-reach, fmin(reach, wanted)) - element(&cache, position * size + i));
      if (off > (in_bytes ? 0.5001 * scale : 1e-3)) return 1;
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
    for (int i = 0; i < 54; i++) {
      size_t size = sizes[i % 3], past = pasts[i / 3 % 3], tokens = counts[i / 9 % 3];
      bool in_bytes = i >= 27;
      double off = attention_difference(attending[k], size, past, tokens, in_bytes);
      compared++;
      if (off <= 1e-5) continue;
      failed++;
      printf("%s: heads of %zu, %zu tokens behind %zu, cache of %s: off by %g\n", attending[k], size, tokens, past,
             in_bytes ? "bytes" : "halves", off);
    }
  }
  printf("%d comparisons, %d failed\n", compared, failed);
  return others == 0 || failed > 0;
}
