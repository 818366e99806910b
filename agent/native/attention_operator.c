// Attention  what GroupQueryAttention computes for one sequence, its attributes and inputs:
//   (query, key?, value?, past_key, past_value, seqlens_k, total_sequence_length, cos?, sin?) -> Y, present_key, present_value
// Without key and value, query holds all three side by side. The cache is of halves (float16). Present is past where both are
// the same memory, else past is copied into it.
// Int8Attention  the same over a cache of bytes, with two inputs more: (..., key_scales, value_scales) [kv_num_heads, D]
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "operator.h"

enum { query, key, value, past_key, past_value, seqlens, total_length, cosine, sine, key_scales, value_scales, most_inputs };
enum { attended, present_key, present_value, outputs };

struct attention_kernel {
  OrtApi api;
  const struct kernel *kernel;
  struct team *team;
  size_t heads, kv_heads;
  bool rotates, in_bytes;
};

static OrtStatus *create(const OrtCustomOp *op, OrtApi api, const OrtKernelInfo *info, void **kernel) {
  int64_t heads = 0, kv_heads = 0, rotates = 0;
  TRY(KernelInfoGetAttribute_int64(api)(info, "num_heads", &heads));
  TRY(KernelInfoGetAttribute_int64(api)(info, "kv_num_heads", &kv_heads));
  TRY(KernelInfoGetAttribute_int64(api)(info, "do_rotary", &rotates));
  if (heads < 1 || kv_heads < 1)
    return CreateStatus(api)(ort_invalid_argument, "num_heads or kv_num_heads is none that this operator knows");
  struct attention_kernel *made = malloc(sizeof *made);
  if (made == NULL) return CreateStatus(api)(ort_fail, "out of memory");
  *made = (struct attention_kernel){api, chosen_kernel(), chosen_team(), (size_t)heads, (size_t)kv_heads, rotates != 0,
                                    ((const struct operator *)op)->in_bytes};
  *kernel = made;
  return NULL;
}

static void destroy(void *kernel) {
  leave_team(((struct attention_kernel *)kernel)->team);
  free(kernel);
}

static OrtStatus *invalid(OrtApi api, const char *what) { return CreateStatus(api)(ort_invalid_argument, what); }

// New tokens, their heads and what turns them.
static OrtStatus *read_tokens(const struct attention_kernel *self, const struct tensor *in, struct attention *attention) {
  OrtApi api = self->api;
  bool packed = in[key].data == NULL;
  if (in[query].rank != 3 || in[query].shape[0] != 1) return invalid(api, "query is not [1, T, width]");
  if (in[past_key].rank != 4 || (size_t)in[past_key].shape[1] != self->kv_heads || in[past_value].count != in[past_key].count)
    return invalid(api, "past is not [1, kv_num_heads, C, D]");
  size_t size = (size_t)in[past_key].shape[3], heads = self->heads, kv_heads = self->kv_heads;
  size_t tokens = (size_t)in[query].shape[1], width = (packed ? heads + 2 * kv_heads : heads) * size;
  if (!attends(heads, kv_heads, size)) return invalid(api, "heads are of a size that this operator doesn't know");
  if (in[query].count != tokens * width || (!packed && (in[key].count != tokens * kv_heads * size ||
                                                        in[value].data == NULL || in[value].count != in[key].count)))
    return invalid(api, "query, key or value has not the width of its heads");
  if (in[seqlens].count != 1) return invalid(api, "seqlens_k is not of one sequence");
  int64_t last = *(const int32_t *)in[seqlens].data;
  if (last + 1 < (int64_t)tokens) return invalid(api, "seqlens_k is less than the new tokens");
  const float *queries = in[query].data;
  *attention = (struct attention){.heads = heads, .kv_heads = kv_heads, .head_size = size, .tokens = tokens,
                                  .past = (size_t)last + 1 - tokens, .stride = width, .queries = queries,
                                  .key_stride = packed ? width : kv_heads * size,
                                  .keys = packed ? queries + heads * size : in[key].data,
                                  .values = packed ? queries + (heads + kv_heads) * size : in[value].data};
  if (!self->rotates) return NULL;
  if (in[cosine].data == NULL || in[cosine].rank != 2 || in[sine].data == NULL || in[sine].count != in[cosine].count ||
      2 * (size_t)in[cosine].shape[1] > size || last >= in[cosine].shape[0])
    return invalid(api, "the rotary tables don't fit the heads, or end before the last position");
  attention->rotated = 2 * (size_t)in[cosine].shape[1];
  attention->cosines = in[cosine].data;
  attention->sines = in[sine].data;
  return NULL;
}

static OrtStatus *read_scales(const struct attention_kernel *self, const struct tensor *in, struct attention *attention) {
  if (!self->in_bytes) return NULL;
  size_t channels = attention->kv_heads * attention->head_size;
  if (in[key_scales].count != channels || in[value_scales].count != channels)
    return invalid(self->api, "key_scales or value_scales is not [kv_num_heads, D]");
  attention->key_scales = in[key_scales].data;
  attention->value_scales = in[value_scales].data;
  return NULL;
}

static void keep_past(const struct attention *attention, size_t capacity, const char *past, char *present) {
  if (past == present) return;
  size_t row = attention->head_size * (attention->key_scales == NULL ? sizeof(half) : sizeof(int8_t));
  for (size_t head = 0; head < attention->kv_heads; head++)
    memcpy(present + head * attention->capacity * row, past + head * capacity * row, attention->past * row);
}

static size_t inputs(bool in_bytes) { return in_bytes ? most_inputs : key_scales; }

static OrtStatus *compute(void *kernel, OrtKernelContext *context) {
  const struct attention_kernel *self = kernel;
  OrtApi api = self->api;
  struct tensor in[most_inputs];
  struct attention attention;
  for (size_t i = 0; i < inputs(self->in_bytes); i++) TRY(read_input(api, context, i, &in[i]));
  TRY(read_tokens(self, in, &attention));
  TRY(read_scales(self, in, &attention));
  size_t capacity = (size_t)in[past_key].shape[2], seen = attention.past + attention.tokens;
  if (attention.past > capacity) return invalid(api, "seqlens_k is more than past holds");
  attention.capacity = seen > capacity ? seen : capacity;
  int64_t width = (int64_t)(self->heads * attention.head_size), shape[] = {1, (int64_t)attention.tokens, width};
  in[past_key].shape[2] = (int64_t)attention.capacity;
  TRY(make_output(api, context, attended, shape, 3, (void **)&attention.output));
  TRY(make_output(api, context, present_key, in[past_key].shape, 4, &attention.key_cache));
  TRY(make_output(api, context, present_value, in[past_key].shape, 4, &attention.value_cache));
  keep_past(&attention, capacity, in[past_key].data, attention.key_cache);
  keep_past(&attention, capacity, in[past_value].data, attention.value_cache);
  struct runner runner = {api, context, self->team};
  if (attention.tokens > 0 && !attend(self->kernel, &attention, on_session_threads, &runner))
    return CreateStatus(api)(ort_fail, "out of memory");
  return NULL;
}

static int cache_type(const OrtCustomOp *op) { return ((const struct operator *)op)->in_bytes ? ort_int8 : ort_float16; }
static int input_type(const OrtCustomOp *op, size_t i) {
  if (i == past_key || i == past_value) return cache_type(op);
  return i == seqlens || i == total_length ? ort_int32 : ort_float;
}
static int output_type(const OrtCustomOp *op, size_t i) { return i == attended ? ort_float : cache_type(op); }
static int input_kind(const OrtCustomOp *op, size_t i) {
  return (void)op, i == key || i == value || i == cosine || i == sine ? ort_optional : ort_required;
}
static size_t input_count(const OrtCustomOp *op) { return inputs(((const struct operator *)op)->in_bytes); }
static size_t output_count(const OrtCustomOp *op) { return (void)op, outputs; }

const struct operator attention_operators[] = {OPERATOR("Attention", .in_bytes = false),
                                               OPERATOR("Int8Attention", .in_bytes = true)};
