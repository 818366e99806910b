// Two operators of the domain `espalier`, for graphs whose MatMulNBits the agent has replaced (lower-graph.ts):
//   Linear       (X, data, scales[, zero_points]) -> Y       what MatMulNBits computes, its attributes and inputs
//   GatedLinear  the same for a gate over its up projection:  silu(first half of Y) * second half
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "linear.h"
#include "ort_abi.h"
#include "pack.h"

#define EXPORT __attribute__((visibility("default")))

enum { most_dimensions = 8, inputs = 4 };

struct operator {
  OrtCustomOp op;
  const char *name;
  bool gated;
};

struct linear_kernel {
  OrtApi api;
  const struct kernel *kernel;
  bool gated;
  struct matrix matrix;
};

static const struct kernel *chosen;

#define TRY(call)                    \
  do {                               \
    OrtStatus *status = (call);      \
    if (status != NULL) return status; \
  } while (0)

static OrtStatus *constant(OrtApi api, const OrtKernelInfo *info, size_t index, size_t expected, const void **data) {
  int is_constant = 0;
  const OrtValue *value = NULL;
  TRY(KernelInfoGetConstantInput_tensor(api)(info, index, &is_constant, &value));
  if (!is_constant || value == NULL) return CreateStatus(api)(ort_invalid_argument, "a weight is not constant");
  OrtTensorTypeAndShapeInfo *shape = NULL;
  TRY(GetTensorTypeAndShape(api)(value, &shape));
  size_t count = 0;
  OrtStatus *status = GetTensorShapeElementCount(api)(shape, &count);
  ReleaseTensorTypeAndShapeInfo(api)(shape);
  if (status != NULL) return status;
  if (count != expected) return CreateStatus(api)(ort_invalid_argument, "a weight has not the size that K, N and bits say");
  return GetTensorMutableData(api)(value, (void **)data);
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
  const struct kernel *kernel_used = chosen;
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

struct runner {
  OrtApi api;
  OrtKernelContext *context;
};

static void parallel(void *runner, size_t count, void (*part)(void *work, size_t i), void *work) {
  const struct runner *with = runner;
  if (count == 1) part(work, 0);
  // It fails for null pointers only.
  else ReleaseStatus(with->api)(KernelContext_ParallelFor(with->api)(with->context, part, count, 0, work));
}

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  const struct linear_kernel *self = kernel;
  OrtApi api = self->api;
  const OrtValue *input = NULL;
  OrtTensorTypeAndShapeInfo *shape = NULL;
  TRY(KernelContext_GetInput(api)(context, 0, &input));
  TRY(GetTensorTypeAndShape(api)(input, &shape));
  int64_t dimensions[most_dimensions];
  size_t rank = 0, count = 0;
  OrtStatus *status = GetDimensionsCount(api)(shape, &rank);
  if (status == NULL && (rank < 1 || rank > most_dimensions))
    status = CreateStatus(api)(ort_invalid_argument, "X has no or too many dimensions");
  if (status == NULL) status = GetDimensions(api)(shape, dimensions, rank);
  if (status == NULL) status = GetTensorShapeElementCount(api)(shape, &count);
  ReleaseTensorTypeAndShapeInfo(api)(shape);
  if (status != NULL) return status;
  if ((size_t)dimensions[rank - 1] != self->matrix.columns)
    return CreateStatus(api)(ort_invalid_argument, "X has not K columns");
  dimensions[rank - 1] = (int64_t)(self->gated ? self->matrix.rows / 2 : self->matrix.rows);
  OrtValue *output = NULL;
  TRY(KernelContext_GetOutput(api)(context, 0, dimensions, rank, &output));
  float *from = NULL, *to = NULL;
  TRY(GetTensorMutableData(api)(input, (void **)&from));
  TRY(GetTensorMutableData(api)(output, (void **)&to));
  struct runner runner = {api, context};
  size_t rows = count / self->matrix.columns;
  if (rows > 0 && !linear(self->kernel, &self->matrix, self->gated, from, rows, to, parallel, &runner))
    return CreateStatus(api)(ort_fail, "out of memory");
  return NULL;
}

static const char *name_of(const OrtCustomOp *op) { return ((const struct operator *)op)->name; }
static const char *provider(const OrtCustomOp *op) { return (void)op, "CPUExecutionProvider"; }
static int input_type(const OrtCustomOp *op, size_t i) { return (void)op, i == 0 || i == 2 ? ort_float : ort_uint8; }
static size_t input_count(const OrtCustomOp *op) { return (void)op, inputs; }
static int output_type(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, ort_float; }
static size_t output_count(const OrtCustomOp *op) { return (void)op, 1; }
static int input_kind(const OrtCustomOp *op, size_t i) { return (void)op, i == 3 ? ort_optional : ort_required; }
static int output_kind(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, ort_required; }
static int memory_type(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, ort_default_memory; }
static int one(const OrtCustomOp *op) { return (void)op, 1; }

#define OPERATOR(its_name, is_gated)                                                                                       \
  {.op = {.version = ort_api_version, .GetName = name_of, .GetExecutionProviderType = provider,                            \
          .GetInputType = input_type, .GetInputTypeCount = input_count, .GetOutputType = output_type,                      \
          .GetOutputTypeCount = output_count, .KernelDestroy = destroy, .GetInputCharacteristic = input_kind,              \
          .GetOutputCharacteristic = output_kind, .GetInputMemoryType = memory_type, .GetVariadicInputMinArity = one,      \
          .GetVariadicInputHomogeneity = one, .GetVariadicOutputMinArity = one, .GetVariadicOutputHomogeneity = one,       \
          .CreateKernelV2 = create, .KernelComputeV2 = compute, .GetStartVersion = one, .GetEndVersion = one},             \
   .name = its_name, .gated = is_gated}

static const struct operator operators[] = {OPERATOR("Linear", false), OPERATOR("GatedLinear", true)};
static OrtCustomOpDomain *domain;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static OrtStatus *create_domain(OrtApi api) {
  OrtCustomOpDomain *made = NULL;
  TRY(CreateCustomOpDomain(api)("espalier", &made));
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) TRY(CustomOpDomain_Add(api)(made, &operators[i].op));
  domain = made;
  return NULL;
}

// The name of the kernel that sessions created from now on use: the one asked for, or for a null name the fastest. Null when
// this processor has none; nothing changes then.
EXPORT const char *EspalierUseKernel(const char *name) {
  const struct kernel *kernel = choose_kernel(name);
  if (kernel == NULL) return NULL;
  chosen = kernel;
  return kernel->name;
}

// Makes the operators known to sessions created with `options`. This library must stay loaded while such a session lives.
EXPORT OrtStatus *RegisterCustomOps(OrtSessionOptions *options, const OrtApiBase *base) {
  OrtApi oldest = base->GetApi(1), api = base->GetApi(ort_api_version);
  if (api == NULL) return CreateStatus(oldest)(ort_fail, "this ONNX Runtime is too old for the kernels");
  if (chosen == NULL && EspalierUseKernel(NULL) == NULL)
    return CreateStatus(oldest)(ort_fail, "there is no kernel for this processor");
  pthread_mutex_lock(&mutex);
  OrtStatus *status = domain == NULL ? create_domain(api) : NULL;
  pthread_mutex_unlock(&mutex);
  return status == NULL ? AddCustomOpDomain(api)(options, domain) : status;
}
