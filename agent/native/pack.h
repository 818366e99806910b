#ifndef ESPALIER_PACK_H
#define ESPALIER_PACK_H

#include "matrix.h"

// A matrix as ONNX Runtime's MatMulNBits takes it. `zero_points` may be null: the middle of the range.
struct stored_matrix {
  size_t rows, columns, block;
  int bits;
  size_t data_bytes;
  const uint8_t *data;         // [rows][blocks][block * bits / 8], the even column in the low half at 4 bits
  const float *scales;         // [rows][blocks]
  const uint8_t *zero_points;  // [rows][ceil(blocks * bits / 8)]
};

// Lays `stored` out for `kernel`. With `halves`, each tile has rows of the first and of the second half of all rows: of a gate
// and of its up projection. False when memory is short. `free_matrix` ends it.
bool pack_matrix(const struct stored_matrix *stored, const struct kernel *kernel, bool halves, struct matrix *packed);
void free_matrix(struct matrix *packed);

#endif
