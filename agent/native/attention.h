#ifndef ESPALIER_ATTENTION_H
#define ESPALIER_ATTENTION_H

#include "attention_rows.h"
#include "linear.h"
#include "matrix.h"

// Attention of new tokens over a cache, as ONNX Runtime's GroupQueryAttention computes it for one sequence: every
// `heads / kv_heads` query heads share a key and a value head; token t sees what is cached and the new ones up to itself.
struct attention {
  size_t heads, kv_heads, head_size;
  size_t tokens;  // new ones
  size_t past;    // positions cached before them
  size_t stride;  // floats from one new token's queries to the next one's
  const float *queries;               // [tokens][heads * head_size]
  size_t key_stride;                  // of keys and of values
  const float *keys, *values;         // [tokens][kv_heads * head_size]
  size_t rotated;                     // leading elements of a head that turn with the position: 0 for none
  const float *cosines, *sines;       // [positions][rotated / 2]
  size_t capacity;                    // positions that the cache has room for
  void *key_cache, *value_cache;      // [kv_heads][capacity][head_size]: halves, or with scales bytes
  const float *key_scales, *value_scales;  // [kv_heads][head_size], of a value's one step in bytes; or null
  float *output;                      // [tokens][heads * head_size]
};

// Writes the new tokens' keys and values into the cache, and what they attend to into `output`. False when memory is short.
bool attend(const struct kernel *kernel, const struct attention *attention, run_parallel *parallel, void *runner);

// Whether `attend` knows heads of this size and number: one token's queries of a group must fit a part.
bool attends(size_t heads, size_t kv_heads, size_t head_size);

#endif
