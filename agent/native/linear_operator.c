// Linear       (X, data, scales[, zero_points]) -> Y       what MatMulNBits computes, its attributes and inputs
// GatedLinear  the same for a gate over its up projection:  silu(first half of Y) * second half
// NormedLinear, NormedGatedLinear  (X, data, scales, residual, weights[, zero_points]) -> Y, sum: the same of
//   SkipSimplifiedLayerNormalization(X, residual, weights), whose sum of X and residual comes out as well
#include <stdlib.h>

#include "operator.h"
#include "pack.h"
#include "pages.h"

enum { input, data, scales, residual, norm_weights, most_inputs = 6 };

struct linear_kernel {
  OrtApi api;
  const struct kernel *kernel;
  struct team *team;
  bool gated, normed;
  float epsilon;
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

static OrtStatus *read_weights(OrtApi api, const OrtKernelInfo *info, bool normed, struct stored_matrix *stored) {
  int64_t columns = 0, rows = 0, bits = 0, block = 0;
  TRY(KernelInfoGetAttribute_int64(api)(info, "K", &columns));
  TRY(KernelInfoGetAttribute_int64(api)(info, "N", &rows));
  TRY(KernelInfoGetAttribute_int64(api)(info, "bits", &bits));
  TRY(KernelInfoGetAttribute_int64(api)(info, "block_size", &block));
  if (columns < 1 || rows < 1 || (bits != 4 && bits != 8) || block < 16 || block % 16 != 0)
    return CreateStatus(api)(ort_invalid_argument, "K, N, bits or block_size is none that this operator knows");
  *stored = (struct stored_matrix){.rows = (size_t)rows, .columns = (size_t)columns, .block = (size_t)block, .bits = (int)bits};
  size_t blocks = (stored->columns + stored->block - 1) / stored->block, zero_bytes = (blocks * (size_t)bits + 7) / 8;
  stored->data_bytes = stored->rows * blocks * stored->block * (size_t)bits / 8;
  TRY(constant(api, info, data, stored->data_bytes, (const void **)&stored->data));
  TRY(constant(api, info, scales, stored->rows * blocks, (const void **)&stored->scales));
  size_t given = 0;
  TRY(KernelInfo_GetInputCount(api)(info, &given));
  size_t zeros = normed ? norm_weights + 1 : scales + 1;
  if (given > zeros) TRY(constant(api, info, zeros, stored->rows * zero_bytes, (const void **)&stored->zero_points));
  return NULL;
}

static OrtStatus *create(const OrtCustomOp *op, OrtApi api, const OrtKernelInfo *info, void **kernel) {
  struct stored_matrix stored;
  bool gated = ((const struct operator *)op)->gated, normed = ((const struct operator *)op)->normed;
  float epsilon = 0;
  TRY(read_weights(api, info, normed, &stored));
  if (normed) TRY(KernelInfoGetAttribute_float(api)(info, "epsilon", &epsilon));
  struct linear_kernel *made = calloc(1, sizeof *made);
  const struct kernel *kernel_used = chosen_kernel();
  if (made == NULL || !pack_matrix(&stored, kernel_used, gated, &made->matrix)) {
    free(made);
    return CreateStatus(api)(ort_fail, "out of memory");
  }
  // They aren't read again, and all of them together would be the load's peak.
  forget_file_pages(stored.data, stored.data_bytes);
  made->api = api;
  made->kernel = kernel_used;
  made->team = chosen_team();
  made->gated = gated;
  made->normed = normed;
  made->epsilon = epsilon;
  *kernel = made;
  return NULL;
}

static void destroy(void *kernel) {
  struct linear_kernel *self = kernel;
  free_matrix(&self->matrix);
  leave_team(self->team);
  free(self);
}

static OrtStatus *read_norm(const struct linear_kernel *self, OrtKernelContext *context, const struct tensor *of,
                            struct norm *norm) {
  struct tensor added, weights;
  TRY(read_input(self->api, context, residual, &added));
  TRY(read_input(self->api, context, norm_weights, &weights));
  if (added.count != of->count || weights.count != self->matrix.columns)
    return CreateStatus(self->api)(ort_invalid_argument, "residual or weights of the norm have not the size of X");
  *norm = (struct norm){.residual = added.data, .weights = weights.data, .epsilon = self->epsilon};
  return make_output(self->api, context, 1, of->shape, of->rank, (void **)&norm->sum);
}

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  const struct linear_kernel *self = kernel;
  OrtApi api = self->api;
  struct tensor x;
  struct norm norm;
  TRY(read_input(api, context, input, &x));
  if (x.rank < 1 || (size_t)x.shape[x.rank - 1] != self->matrix.columns)
    return CreateStatus(api)(ort_invalid_argument, "X has not K columns");
  if (self->normed) TRY(read_norm(self, context, &x, &norm));
  x.shape[x.rank - 1] = (int64_t)(self->gated ? self->matrix.rows / 2 : self->matrix.rows);
  float *output = NULL;
  TRY(make_output(api, context, 0, x.shape, x.rank, (void **)&output));
  struct runner runner = {api, context, self->team};
  size_t rows = x.count / self->matrix.columns;
  if (rows > 0 && !linear(self->kernel, &self->matrix, self->gated, self->normed ? &norm : NULL, x.data, rows, output,
                          on_session_threads, &runner))
    return CreateStatus(api)(ort_fail, "out of memory");
  return NULL;
}

static bool normed(const OrtCustomOp *op) { return ((const struct operator *)op)->normed; }
static int output_type(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, ort_float; }
static int input_type(const OrtCustomOp *op, size_t i) {
  return i == data || i == (normed(op) ? norm_weights + 1 : scales + 1) ? ort_uint8 : ort_float;
}
static size_t input_count(const OrtCustomOp *op) { return normed(op) ? most_inputs : most_inputs - 2; }
static int input_kind(const OrtCustomOp *op, size_t i) { return i + 1 == input_count(op) ? ort_optional : ort_required; }
static size_t output_count(const OrtCustomOp *op) { return normed(op) ? 2 : 1; }

const struct operator linear_operators[] = {
    OPERATOR("Linear", .gated = false), OPERATOR("GatedLinear", .gated = true), OPERATOR("NormedLinear", .normed = true),
    OPERATOR("NormedGatedLinear", .gated = true, .normed = true)};
