// Operators of the domain `espalier`, for graphs in which the agent has put them (lower-graph.ts).
#include <pthread.h>

#include "operator.h"
#include "pages.h"

#define EXPORT __attribute__((visibility("default")))

static const struct operator *const operators[] = {&linear_operators[0], &linear_operators[1], &linear_operators[2],
                                                 &linear_operators[3], &attention_operators[0],
                                                 &attention_operators[1]};
static const struct kernel *chosen;
static OrtCustomOpDomain *domain;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static _Thread_local struct team *team;

const struct kernel *chosen_kernel(void) { return chosen; }

struct team *chosen_team(void) {
  join_team(team);
  return team;
}

static OrtStatus *create_domain(OrtApi api) {
  OrtCustomOpDomain *made = NULL;
  TRY(CreateCustomOpDomain(api)("espalier", &made));
  for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) TRY(CustomOpDomain_Add(api)(made, &operators[i]->op));
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

// Gives kernels that the calling thread creates from now on a team of `threads`, with 0 none: ONNX Runtime's threads work
// then. It lives as long as they do. False when there is no thread to be had.
EXPORT bool EspalierUseTeam(uint32_t threads, uint32_t spin_us) {
  leave_team(team);
  team = threads == 0 ? NULL : new_team(threads, spin_us);
  return threads == 0 || team != NULL;
}

EXPORT void EspalierPreferHugePages(void *memory, size_t bytes) { prefer_huge_pages(memory, bytes); }

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
