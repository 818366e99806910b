// Linear       (X, data, scales[, zero_points]) -> Y       what MatMulNBits computes, its attributes and inputs
// GatedLinear  the same for a gate over its up projection:  silu(first half of Y) * second half
#include <stdlib.h>

#include "operator.h"
#include "pack.h"

enum { inputs = 4 };

struct linear_kernel {
  OrtApi api;
  const struct kernel *kernel;
  bool gated;
  struct matrix matrix;
};

static OrtStatus *constant(OrtApi api, const OrtKernelInfo *info, size_t index, size_t expected, const void **data) {
  int is_constant = 0;
  const OrtValue *value = NULL;
  TRY(KernelInfoGetConstantInput_tensor(api)(info, index, &is_constant, &value));
  if (!is_constant || value == NULL) return CreateStatus(api)(ort_invalid_argument, "a weight is not constant");
  struct tensor tensor;
  TRY(read_tensor(api, value, &tensor));
  if (tensor.count != expected)
    return CreateStatus(api)(ort_invalid_argument, "a weight has not the size that K, N and bits say");
  *data = tensor.data;
  return NULL;
}

static OrtStatus *read_weights(OrtApi api, const OrtKernelInfo *info, struct stored_matrix *stored) {
  int64_t columns = 0, rows = 0, bits = 0, block = 0;
  TRY(KernelInfoGetAttribute_int64(api)(info, "K", &columns));
  TRY(KernelInfoGetAttribute_int64(api)(info, "N", &rows));
  TRY(KernelInfoGetAttribute_int64(api)(info, "bits", &bits));
  TRY(KernelInfoGetAttribute_int64(api)(info, "block_size", &block));
  if (columns < 1 || rows < 1 || (bits != 4 && bits != 8) || block < 16 || block % 16 != 0)
    return CreateStatus(api)(ort_invalid_argument, "K, N, bits or block_size is none that this operator knows");
  *stored = (struct stored_matrix){.rows = (size_t)rows, .columns = (size_t)columns, .block = (size_t)block, .bits = (int)bits};
  size_t blocks = (stored->columns + stored->block - 1) / stored->block, zero_bytes = (blocks * (size_t)bits + 7) / 8;
  TRY(constant(api, info, 1, stored->rows * blocks * stored->block * (size_t)bits / 8, (const void **)&stored->data));
  TRY(constant(api, info, 2, stored->rows * blocks, (const void **)&stored->scales));
  size_t given = 0;
  TRY(KernelInfo_GetInputCount(api)(info, &given));
  if (given == inputs) TRY(constant(api, info, 3, stored->rows * zero_bytes, (const void **)&stored->zero_points));
  return NULL;
}

static OrtStatus *create(const OrtCustomOp *op, OrtApi api, const OrtKernelInfo *info, void **kernel) {
  struct stored_matrix stored;
  TRY(read_weights(api, info, &stored));
  struct linear_kernel *made = calloc(1, sizeof *made);
  const struct kernel *kernel_used = chosen_kernel();
  bool gated = ((const struct operator *)op)->gated;
  if (made == NULL || !pack_matrix(&stored, kernel_used, gated, &made->matrix)) {
    free(made);
    return CreateStatus(api)(ort_fail, "out of memory");
  }
  made->api = api;
  made->kernel = kernel_used;
  made->gated = gated;
  *kernel = made;
  return NULL;
}

static void destroy(void *kernel) {
  free_matrix(&((struct linear_kernel *)kernel)->matrix);
  free(kernel);
}

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  const struct linear_kernel *self = kernel;
  OrtApi api = self->api;
  struct tensor input;
  TRY(read_input(api, context, 0, &input));
  if (input.rank < 1 || (size_t)input.shape[input.rank - 1] != self->matrix.columns)
    return CreateStatus(api)(ort_invalid_argument, "X has not K columns");
  input.shape[input.rank - 1] = (int64_t)(self->gated ? self->matrix.rows / 2 : self->matrix.rows);
  float *output = NULL;
  TRY(make_output(api, context, 0, input.shape, input.rank, (void **)&output));
  struct runner runner = {api, context};
  size_t rows = input.count / self->matrix.columns;
  if (rows > 0 && !linear(self->kernel, &self->matrix, self->gated, input.data, rows, output, on_session_threads, &runner))
    return CreateStatus(api)(ort_fail, "out of memory");
  return NULL;
}

static int input_type(const OrtCustomOp *op, size_t i) { return (void)op, i == 0 || i == 2 ? ort_float : ort_uint8; }
static int input_kind(const OrtCustomOp *op, size_t i) { return (void)op, i == 3 ? ort_optional : ort_required; }
static int output_type(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, ort_float; }
static size_t input_count(const OrtCustomOp *op) { return (void)op, inputs; }
static size_t output_count(const OrtCustomOp *op) { return (void)op, 1; }

const struct operator linear_operator = OPERATOR("Linear", false, input_count, output_count);
const struct operator gated_linear_operator = OPERATOR("GatedLinear", true, input_count, output_count);
