#ifndef ESPALIER_LINEAR_H
#define ESPALIER_LINEAR_H

#include "matrix.h"

// Calls `part(work, i)` for i in [0, count), on as many threads as the caller has, and returns when all have returned.
typedef void run_parallel(void *runner, size_t count, void (*part)(void *work, size_t i), void *work);

// output[rows][matrix->rows] = input[rows][matrix->columns] times the transposed matrix; with `gated`, the matrix is packed
// in halves, and silu(first half) * second half comes out: [rows][matrix->rows / 2]. False when memory is short.
bool linear(const struct kernel *kernel, const struct matrix *matrix, bool gated, const float *input, size_t rows,
            float *output, run_parallel *parallel, void *runner);

#endif
