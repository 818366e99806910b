#include "linear.h"

#include <stdlib.h>
#include <string.h>

#include "common.h"

// Enough for a thread to be worth waking.
enum { bytes_per_part = 96 << 10, rows_per_part = 8 };

struct work {
  const struct kernel *kernel;
  const struct matrix *matrix;
  bool gated;
  const struct norm *norm;
  float *normed;  // a row for each part of the activations
  const float *input;
  float *output;
  struct activations activations;
  size_t tiles_per_part;
};


static void quantize_part(void *context, size_t part) {
  struct work *work = context;
  const struct matrix *matrix = work->matrix;
  struct activations *activations = &work->activations;
  size_t end = least((part + 1) * rows_per_part, activations->rows);
  for (size_t row = part * rows_per_part; row < end; row++) {
    int8_t *values = activations->values + row * activations->stride;
    const float *from = work->input + row * matrix->columns;
    if (work->norm != NULL) {
      const struct norm *norm = work->norm;
      float *normed = work->normed + part * matrix->columns;
      work->kernel->normalize(from, norm->residual + row * matrix->columns, norm->weights, norm->epsilon, matrix->columns,
                              norm->sum + row * matrix->columns, normed);
      from = normed;
    }
    work->kernel->quantize_row(from, matrix->columns, matrix->block, values, activations->scales + row * matrix->blocks,
                               activations->sums + row * matrix->blocks);
    memset(values + matrix->columns, 0, activations->stride - matrix->columns);
  }
}

// Sums of one row with a tile, to where they belong.
static void put(const struct work *work, size_t tile, size_t row, const float *sums) {
  size_t rows = work->matrix->rows, width = work->gated ? rows / 2 : rows, step = work->gated ? half_rows : tile_rows;
  float *to = work->output + row * width + tile * step;
  size_t count = least(step, width - tile * step);
  if (work->gated) work->kernel->gate(sums, sums + half_rows, count, to);
  else memcpy(to, sums, count * sizeof *sums);
}

static void multiply_part(void *context, size_t part) {
  const struct work *work = context;
  size_t end = least((part + 1) * work->tiles_per_part, work->matrix->tiles), rows = work->activations.rows;
  float sums[max_kernel_tokens * tile_rows];
  for (size_t tile = part * work->tiles_per_part; tile < end; tile++)
    for (size_t first = 0; first < rows; first += max_kernel_tokens) {
      size_t tokens = least(max_kernel_tokens, rows - first);
      work->kernel->multiply(work->matrix, tile, &work->activations, first, tokens, sums);
      for (size_t i = 0; i < tokens; i++) put(work, tile, first + i, sums + i * tile_rows);
    }
}

bool linear(const struct kernel *kernel, const struct matrix *matrix, bool gated, const struct norm *norm,
            const float *input, size_t rows, float *output, run_parallel *parallel, void *runner) {
  size_t stride = (matrix->columns + 63) / 64 * 64, entries = rows * matrix->blocks;
  size_t parts = (rows + rows_per_part - 1) / rows_per_part, normed = norm == NULL ? 0 : parts * matrix->columns;
  uint8_t *memory = malloc(rows * stride + entries * (sizeof(float) + sizeof(int32_t)) + normed * sizeof(float));
  if (memory == NULL) return false;
  float *scales = (float *)(memory + rows * stride);
  int32_t *sums = (int32_t *)(scales + entries);
  struct work work = {.kernel = kernel, .matrix = matrix, .gated = gated, .norm = norm, .normed = (float *)(sums + entries),
                      .input = input, .output = output,
                      .activations = {rows, stride, (int8_t *)memory, scales, sums}};
  parallel(runner, parts, quantize_part, &work);
  size_t by_bytes = bytes_per_part / (matrix->tile_bytes * least(rows, 16));
  work.tiles_per_part = by_bytes > 0 ? by_bytes : 1;
  parallel(runner, (matrix->tiles + work.tiles_per_part - 1) / work.tiles_per_part, multiply_part, &work);
  free(memory);
  return true;
}
