// Compares the kernels that this processor runs with the portable one, on random matrices of odd sizes: exact but for the
// order in which blocks are added. For processors that tests don't run on (under an emulator). Prints what it compared.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

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

static double difference(const char *name, int bits, size_t block, size_t columns, size_t rows, size_t tokens, bool gated) {
  size_t blocks = (columns + block - 1) / block;
  struct stored_matrix stored = {rows, columns, block, bits, filled(rows * blocks * block * (size_t)bits / 8),
                                 floats(rows * blocks, 0.01f, 0.02f),
                                 bits == 4 ? filled(rows * ((blocks * 4 + 7) / 8)) : NULL};
  float *input = floats(tokens * columns, -1, 1), *outputs[2];
  size_t width = gated ? rows / 2 : rows;
  const char *names[2] = {"portable", name};
  for (int i = 0; i < 2; i++) {
    const struct kernel *kernel = choose_kernel(names[i]);
    struct matrix matrix;
    outputs[i] = malloc(tokens * width * sizeof(float));
    if (!pack_matrix(&stored, kernel, gated, &matrix)) abort();
    linear(kernel, &matrix, gated, input, tokens, outputs[i], in_order, NULL);
    free_matrix(&matrix);
  }
  double most = 0, largest = 0;
  for (size_t i = 0; i < tokens * width; i++) {
    most = fmax(most, fabs(outputs[0][i] - outputs[1][i]));
    largest = fmax(largest, fabs(outputs[0][i]));
  }
  return most / largest;
}

int main(void) {
  static const char *const names[] = {"avx512-vnni", "avx2", "neon-dot"};
  int compared = 0, failed = 0;
  for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
    if (choose_kernel(names[k]) == NULL) continue;
    for (int bits = 4; bits <= 8; bits += 4)
      for (size_t tokens = 1; tokens <= 13; tokens += 3)
        for (int gated = 0; gated < 2; gated++) {
          double off = difference(names[k], bits, 32, 172, 90, tokens, gated), limit = 1e-5;
          compared++;
          if (off <= limit) continue;
          failed++;
          printf("%s: %d bits, %zu tokens, gated %d: off by %g of the largest value\n", names[k], bits, tokens, gated, off);
        }
  }
  printf("%d comparisons, %d failed\n", compared, failed);
  return compared == 0 || failed > 0;
}
