// The part of ONNX Runtime's C API (version 17) that a custom operator needs. Its functions stand in a table that only ever
// grows at its end, so positions are part of the contract: they are named here as onnxruntime_c_api.h names them.
#ifndef ESPALIER_ORT_ABI_H
#define ESPALIER_ORT_ABI_H

#include <stddef.h>
#include <stdint.h>

enum { ort_api_version = 17 };
enum { ort_float = 1, ort_uint8 = 2, ort_int8 = 3, ort_int32 = 6, ort_float16 = 10 };
enum { ort_required = 0, ort_optional = 1 };
enum { ort_default_memory = 0 };
enum { ort_fail = 1, ort_invalid_argument = 2 };

typedef struct OrtStatus OrtStatus;
typedef struct OrtValue OrtValue;
typedef struct OrtKernelInfo OrtKernelInfo;
typedef struct OrtKernelContext OrtKernelContext;
typedef struct OrtSessionOptions OrtSessionOptions;
typedef struct OrtCustomOpDomain OrtCustomOpDomain;
typedef struct OrtTensorTypeAndShapeInfo OrtTensorTypeAndShapeInfo;
typedef struct OrtCustomOp OrtCustomOp;
typedef void (*OrtFunction)(void);
typedef const OrtFunction *OrtApi;

typedef struct {
  OrtApi (*GetApi)(uint32_t version);
  const char *(*GetVersionString)(void);
} OrtApiBase;

#define ORT(api, index, result, ...) ((result(*)(__VA_ARGS__))(api)[index])
#define CreateStatus(api) ORT(api, 0, OrtStatus *, int, const char *)
#define CreateCustomOpDomain(api) ORT(api, 26, OrtStatus *, const char *, OrtCustomOpDomain **)
#define CustomOpDomain_Add(api) ORT(api, 27, OrtStatus *, OrtCustomOpDomain *, const OrtCustomOp *)
#define AddCustomOpDomain(api) ORT(api, 28, OrtStatus *, OrtSessionOptions *, OrtCustomOpDomain *)
#define GetTensorMutableData(api) ORT(api, 51, OrtStatus *, const OrtValue *, void **)
#define GetDimensionsCount(api) ORT(api, 61, OrtStatus *, const OrtTensorTypeAndShapeInfo *, size_t *)
#define GetDimensions(api) ORT(api, 62, OrtStatus *, const OrtTensorTypeAndShapeInfo *, int64_t *, size_t)
#define GetTensorShapeElementCount(api) ORT(api, 64, OrtStatus *, const OrtTensorTypeAndShapeInfo *, size_t *)
#define GetTensorTypeAndShape(api) ORT(api, 65, OrtStatus *, const OrtValue *, OrtTensorTypeAndShapeInfo **)
#define KernelInfoGetAttribute_float(api) ORT(api, 85, OrtStatus *, const OrtKernelInfo *, const char *, float *)
#define KernelInfoGetAttribute_int64(api) ORT(api, 86, OrtStatus *, const OrtKernelInfo *, const char *, int64_t *)
#define KernelContext_GetInput(api) ORT(api, 90, OrtStatus *, const OrtKernelContext *, size_t, const OrtValue **)
#define KernelContext_GetOutput(api) \
  ORT(api, 91, OrtStatus *, OrtKernelContext *, size_t, const int64_t *, size_t, OrtValue **)
#define ReleaseStatus(api) ORT(api, 93, void, OrtStatus *)
#define ReleaseTensorTypeAndShapeInfo(api) ORT(api, 99, void, OrtTensorTypeAndShapeInfo *)
#define KernelInfo_GetInputCount(api) ORT(api, 230, OrtStatus *, const OrtKernelInfo *, size_t *)
#define KernelInfoGetConstantInput_tensor(api) \
  ORT(api, 249, OrtStatus *, const OrtKernelInfo *, size_t, int *, const OrtValue **)
#define KernelContext_ParallelFor(api) \
  ORT(api, 274, OrtStatus *, const OrtKernelContext *, void (*)(void *, size_t), size_t, size_t, void *)

struct OrtCustomOp {
  uint32_t version;
  void *(*CreateKernel)(const OrtCustomOp *, OrtApi, const OrtKernelInfo *);
  const char *(*GetName)(const OrtCustomOp *);
  const char *(*GetExecutionProviderType)(const OrtCustomOp *);
  int (*GetInputType)(const OrtCustomOp *, size_t);
  size_t (*GetInputTypeCount)(const OrtCustomOp *);
  int (*GetOutputType)(const OrtCustomOp *, size_t);
  size_t (*GetOutputTypeCount)(const OrtCustomOp *);
  void (*KernelCompute)(void *, OrtKernelContext *);
  void (*KernelDestroy)(void *);
  int (*GetInputCharacteristic)(const OrtCustomOp *, size_t);
  int (*GetOutputCharacteristic)(const OrtCustomOp *, size_t);
  int (*GetInputMemoryType)(const OrtCustomOp *, size_t);
  int (*GetVariadicInputMinArity)(const OrtCustomOp *);
  int (*GetVariadicInputHomogeneity)(const OrtCustomOp *);
  int (*GetVariadicOutputMinArity)(const OrtCustomOp *);
  int (*GetVariadicOutputHomogeneity)(const OrtCustomOp *);
  OrtStatus *(*CreateKernelV2)(const OrtCustomOp *, OrtApi, const OrtKernelInfo *, void **);
  OrtStatus *(*KernelComputeV2)(void *, OrtKernelContext *);
  OrtStatus *(*InferOutputShapeFn)(const OrtCustomOp *, void *);
  int (*GetStartVersion)(const OrtCustomOp *);
  int (*GetEndVersion)(const OrtCustomOp *);
  // What later versions read: never reached for `version` 17.
  OrtFunction later[4];
};

#endif
