#include "operator.h"

OrtStatus *read_tensor(OrtApi api, const OrtValue *value, struct tensor *tensor) {
  OrtTensorTypeAndShapeInfo *shape = NULL;
  TRY(GetTensorTypeAndShape(api)(value, &shape));
  OrtStatus *status = GetDimensionsCount(api)(shape, &tensor->rank);
  if (status == NULL && tensor->rank > most_dimensions)
    status = CreateStatus(api)(ort_invalid_argument, "an input has too many dimensions");
  if (status == NULL) status = GetDimensions(api)(shape, tensor->shape, tensor->rank);
  if (status == NULL) status = GetTensorShapeElementCount(api)(shape, &tensor->count);
  ReleaseTensorTypeAndShapeInfo(api)(shape);
  return status != NULL ? status : GetTensorMutableData(api)(value, &tensor->data);
}

OrtStatus *read_input(OrtApi api, const OrtKernelContext *context, size_t index, struct tensor *tensor) {
  const OrtValue *value = NULL;
  TRY(KernelContext_GetInput(api)(context, index, &value));
  *tensor = (struct tensor){0};
  return value == NULL ? NULL : read_tensor(api, value, tensor);
}

OrtStatus *make_output(OrtApi api, OrtKernelContext *context, size_t index, const int64_t *shape, size_t rank, void **data) {
  OrtValue *value = NULL;
  TRY(KernelContext_GetOutput(api)(context, index, shape, rank, &value));
  return GetTensorMutableData(api)(value, data);
}

void on_session_threads(void *runner, size_t count, void (*part)(void *work, size_t i), void *work) {
  const struct runner *with = runner;
  if (with->team != NULL) work_together(with->team, count, part, work);
  else if (count == 1) part(work, 0);
  // It fails for null pointers only.
  else ReleaseStatus(with->api)(KernelContext_ParallelFor(with->api)(with->context, part, count, 0, work));
}

const char *operator_name(const OrtCustomOp *op) { return ((const struct operator *)op)->name; }
const char *operator_provider(const OrtCustomOp *op) { return (void)op, "CPUExecutionProvider"; }
int operator_output_kind(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, ort_required; }
int operator_memory_type(const OrtCustomOp *op, size_t i) { return (void)op, (void)i, ort_default_memory; }
int operator_one(const OrtCustomOp *op) { return (void)op, 1; }
