// What the operators have in common: how they are called by ONNX Runtime, and how they call it.
#ifndef ESPALIER_OPERATOR_H
#define ESPALIER_OPERATOR_H

#include "linear.h"
#include "ort_abi.h"
#include "team.h"

enum { most_dimensions = 8 };

#define TRY(call)                    \
  do {                               \
    OrtStatus *status = (call);      \
    if (status != NULL) return status; \
  } while (0)

// An operator and what ONNX Runtime doesn't ask about: of a product, and of attention.
struct operator {
  OrtCustomOp op;
  const char *name;
  bool gated, normed, in_bytes;
};

// The one that kernels made from now on use; `EspalierUseKernel` sets it.
const struct kernel *chosen_kernel(void);
// The calling thread's, of which each kernel made becomes a holder; null where ONNX Runtime's threads are to work.
struct team *chosen_team(void);

// A tensor's data and shape.
struct tensor {
  void *data;
  size_t rank, count;
  int64_t shape[most_dimensions];
};

OrtStatus *read_tensor(OrtApi api, const OrtValue *value, struct tensor *tensor);
// Leaves `data` null for an optional input that isn't there.
OrtStatus *read_input(OrtApi api, const OrtKernelContext *context, size_t index, struct tensor *tensor);
OrtStatus *make_output(OrtApi api, OrtKernelContext *context, size_t index, const int64_t *shape, size_t rank, void **data);

struct runner {
  OrtApi api;
  OrtKernelContext *context;
  struct team *team;  // may be null
};

// A `run_parallel` on the team's threads, or without one on those of ONNX Runtime; `runner` is a `struct runner`.
void on_session_threads(void *runner, size_t count, void (*part)(void *work, size_t i), void *work);

// What every operator answers alike; the rest are functions of its file.
#define OPERATOR(its_name, ...)                                                                                            \
  {.op = {.version = ort_api_version, .GetName = operator_name, .GetExecutionProviderType = operator_provider,             \
          .GetInputType = input_type, .GetInputTypeCount = input_count, .GetOutputType = output_type,                      \
          .GetOutputTypeCount = output_count, .KernelDestroy = destroy, .GetInputCharacteristic = input_kind,              \
          .GetOutputCharacteristic = operator_output_kind, .GetInputMemoryType = operator_memory_type,                     \
          .GetVariadicInputMinArity = operator_one, .GetVariadicInputHomogeneity = operator_one,                           \
          .GetVariadicOutputMinArity = operator_one, .GetVariadicOutputHomogeneity = operator_one,                         \
          .CreateKernelV2 = create, .KernelComputeV2 = compute, .GetStartVersion = operator_one,                           \
          .GetEndVersion = operator_one},                                                                                  \
   .name = its_name, __VA_ARGS__}

const char *operator_name(const OrtCustomOp *op);
const char *operator_provider(const OrtCustomOp *op);
int operator_output_kind(const OrtCustomOp *op, size_t i);
int operator_memory_type(const OrtCustomOp *op, size_t i);
int operator_one(const OrtCustomOp *op);

extern const struct operator linear_operators[4], attention_operators[2];

#endif
