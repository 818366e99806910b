#include "attention.h"

#include <stdlib.h>
#include <string.h>

#include "attention_rows.h"
#include "common.h"

// Enough for a thread to be worth waking: cached elements that it reads, new tokens that it writes.
enum { elements_per_part = 16 << 10, tokens_per_part = 16 };

static size_t divided_up(size_t value, size_t by) { return (value + by - 1) / by; }

struct work {
  const struct kernel *kernel;
  const struct attention *attention;
  size_t group;
  size_t tokens, token_parts;        // new tokens of a part, and parts that they make
  size_t positions, position_parts;  // the same of what they read: one part, but for a single token
  float *partial;                    // [kv_heads][position_parts][group][head_size + 2], where there are several
};

bool attends(size_t heads, size_t kv_heads, size_t head_size) {
  return kv_heads > 0 && heads % kv_heads == 0 && head_size > 0 && head_size % 16 == 0 && head_size <= most_head_size &&
         heads / kv_heads * head_size <= most_row_elements && heads / kv_heads <= most_rows;
}

// A head at its position, times `scale`: element i turns with element i + rotated / 2 (Su et al., arXiv:2104.09864).
static void turn(const struct attention *attention, const float *head, size_t position, float scale, float *out) {
  size_t half = attention->rotated / 2;
  const float *cosines = attention->cosines + position * half, *sines = attention->sines + position * half;
  for (size_t i = 0; i < half; i++) {
    float a = head[i] * scale, b = head[i + half] * scale;
    out[i] = a * cosines[i] - b * sines[i];
    out[i + half] = b * cosines[i] + a * sines[i];
  }
  for (size_t i = 2 * half; i < attention->head_size; i++) out[i] = head[i] * scale;
}

static void cache_part(void *context, size_t part) {
  const struct work *work = context;
  const struct attention *attention = work->attention;
  size_t size = attention->head_size, end = least((part + 1) * tokens_per_part, attention->tokens);
  for (size_t token = part * tokens_per_part; token < end; token++)
    for (size_t head = 0; head < attention->kv_heads; head++) {
      size_t from = token * attention->key_stride + head * size, position = attention->past + token;
      size_t to = (head * attention->capacity + position) * size;
      float key[most_head_size];
      turn(attention, attention->keys + from, position, 1, key);
      const float *value = attention->values + from;
      if (attention->key_scales == NULL) {
        work->kernel->round_to_halves(key, size, (half *)attention->key_cache + to);
        work->kernel->round_to_halves(value, size, (half *)attention->value_cache + to);
      } else {
        const float *key_scales = attention->key_scales + head * size, *value_scales = attention->value_scales + head * size;
        work->kernel->round_to_bytes(key, key_scales, size, (int8_t *)attention->key_cache + to);
        work->kernel->round_to_bytes(value, value_scales, size, (int8_t *)attention->value_cache + to);
      }
    }
}

static void multiply_elements(float *values, const float *factors, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] *= factors[i];
}

// Lets rows of a key and value head see positions [from, to). Scales of cached bytes are those of channels: the keys' are
// taken into the queries, the values' into the sums.
static void attend_cache(const struct work *work, struct attention_rows *rows, size_t kv_head, size_t from, size_t to) {
  const struct attention *attention = work->attention;
  size_t size = attention->head_size, start = kv_head * attention->capacity * size;
  if (attention->key_scales == NULL) {
    work->kernel->attend_halves(rows, (const half *)attention->key_cache + start, (const half *)attention->value_cache + start,
                                from, to);
    return;
  }
  for (size_t row = 0; row < rows->rows; row++)
    multiply_elements(rows->queries + row * size, attention->key_scales + kv_head * size, size);
  work->kernel->attend_bytes(rows, (const int8_t *)attention->key_cache + start,
                             (const int8_t *)attention->value_cache + start, from, to);
  for (size_t row = 0; row < rows->rows; row++)
    multiply_elements(rows->sums + row * size, attention->value_scales + kv_head * size, size);
}

static void attend_part(void *context, size_t part) {
  const struct work *work = context;
  const struct attention *attention = work->attention;
  float queries[most_row_elements], sums[most_row_elements], largest[most_rows], totals[most_rows];
  size_t size = attention->head_size, group = work->group;
  size_t stretch = part % work->position_parts, block = part / work->position_parts % work->token_parts;
  size_t kv_head = part / work->position_parts / work->token_parts;
  // The last ones first: they see most.
  size_t first = (work->token_parts - 1 - block) * work->tokens, end = least(first + work->tokens, attention->tokens);
  struct attention_rows rows = {.rows = (end - first) * group, .head_size = size, .group = group,
                                .first_sees = attention->past + first + 1, .queries = queries, .sums = sums,
                                .largest = largest, .totals = totals};
  for (size_t row = 0; row < rows.rows; row++) {
    size_t token = first + row / group;
    const float *head = attention->queries + token * attention->stride + (kv_head * group + row % group) * size;
    turn(attention, head, attention->past + token, 1 / __builtin_sqrtf((float)size), queries + row * size);
    largest[row] = -__builtin_inff();
    totals[row] = 0;
  }
  memset(sums, 0, rows.rows * size * sizeof *sums);
  attend_cache(work, &rows, kv_head, stretch * work->positions, least((stretch + 1) * work->positions, attention->past + end));
  if (work->position_parts > 1) {
    float *partial = work->partial + (kv_head * work->position_parts + stretch) * group * (size + 2);
    for (size_t row = 0; row < group; row++, partial += size + 2) {
      partial[0] = largest[row];
      partial[1] = totals[row];
      memcpy(partial + 2, sums + row * size, size * sizeof *sums);
    }
    return;
  }
  for (size_t row = 0; row < rows.rows; row++) {
    size_t token = first + row / group;
    float *out = attention->output + (token * attention->heads + kv_head * group + row % group) * size;
    for (size_t i = 0; i < size; i++) out[i] = sums[row * size + i] / totals[row];
  }
}

// One token's result from those of all stretches of positions.
static void join_parts(const struct work *work) {
  size_t size = work->attention->head_size, step = work->group * (size + 2);
  for (size_t head = 0; head < work->attention->heads; head++) {
    const float *first = work->partial + head / work->group * work->position_parts * step + head % work->group * (size + 2);
    float *out = work->attention->output + head * size, largest = -__builtin_inff(), total = 0;
    memset(out, 0, size * sizeof *out);
    for (size_t part = 0; part < work->position_parts; part++) 
      largest = first[part * step] > largest ? first[part * step] : largest;
    for (size_t part = 0; part < work->position_parts; part++) {
      const float *partial = first + part * step;
      float weight = exponential(partial[0] - largest);
      total += weight * partial[1];
      for (size_t i = 0; i < size; i++) out[i] += weight * partial[2 + i];
    }
    for (size_t i = 0; i < size; i++) out[i] /= total;
  }
}

bool attend(const struct kernel *kernel, const struct attention *attention, run_parallel *parallel, void *runner) {
  size_t group = attention->heads / attention->kv_heads, size = attention->head_size;
  size_t seen = attention->past + attention->tokens;
  struct work work = {.kernel = kernel, .attention = attention, .group = group, .positions = seen, .position_parts = 1};
  work.tokens = least(most_row_elements / (group * size), most_rows / group);
  work.token_parts = divided_up(attention->tokens, work.tokens);
  if (attention->tokens == 1) {
    size_t positions = divided_up(elements_per_part / (2 * size), position_block) * position_block;
    work.position_parts = divided_up(seen, positions);
    work.positions = positions;
  }
  if (work.position_parts > 1) {
    work.partial = malloc(attention->kv_heads * work.position_parts * group * (size + 2) * sizeof(float));
    if (work.partial == NULL) return false;
  }
  parallel(runner, divided_up(attention->tokens, tokens_per_part), cache_part, &work);
  size_t parts = attention->kv_heads * work.token_parts * work.position_parts;
  if (work.position_parts > 1 || attention->tokens > 1) parallel(runner, parts, attend_part, &work);
  else
    for (size_t part = 0; part < parts; part++) attend_part(&work, part);
  if (work.position_parts > 1) join_parts(&work);
  free(work.partial);
  return true;
}
