#ifndef ESPALIER_LINEAR_H
#define ESPALIER_LINEAR_H

#include "matrix.h"

// Calls `part(work, i)` for i in [0, count), on as many threads as the caller has, and returns when all have returned.
typedef void run_parallel(void *runner, size_t count, void (*part)(void *work, size_t i), void *work);

// What a product's input goes through first: `residual` is added, which makes `sum`, and that is normalized. Both are
// [rows][matrix->columns], `weights` [matrix->columns].
struct norm {
  const float *residual, *weights;
  float epsilon, *sum;
};

// output[rows][matrix->rows] = input[rows][matrix->columns] times the transposed matrix; with `gated`, the matrix is packed
// in halves, and silu(first half) * second half comes out: [rows][matrix->rows / 2]. `norm` may be null. False when memory is
// short.
bool linear(const struct kernel *kernel, const struct matrix *matrix, bool gated, const struct norm *norm,
            const float *input, size_t rows, float *output, run_parallel *parallel, void *runner);

#endif
