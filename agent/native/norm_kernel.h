// The norm before a product, in vectors of LANES floats.
#include "lanes.h"

// A row's sum with the residual, and that over its root mean square (Zhang and Sennrich, arXiv:1910.07467), times `weights`.
TARGET static void normalize(const float *row, const float *residual, const float *weights, float epsilon, size_t count,
                             float *sum, float *normed) {
  lanes squares = {0};
  float total = 0;
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    lanes both = load(row + i) + load(residual + i);
    store(sum + i, both);
    squares += both * both;
  }
  for (; i < count; i++) {
    sum[i] = row[i] + residual[i];
    total += sum[i] * sum[i];
  }
  for (size_t lane = 0; lane < LANES; lane++) total += squares[lane];
  const float inverse = 1 / __builtin_sqrtf(total / (float)count + epsilon);
  for (i = 0; i + LANES <= count; i += LANES) store(normed + i, load(sum + i) * inverse * load(weights + i));
  for (; i < count; i++) normed[i] = sum[i] * inverse * weights[i];
}
