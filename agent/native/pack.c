#include "pack.h"

#include <string.h>

#include "pages.h"

static size_t divided_up(size_t value, size_t by) { return (value + by - 1) / by; }

// The stored row of a packed one; `rows` and more for padding.
static size_t stored_row(const struct stored_matrix *stored, bool halves, size_t tile, size_t row) {
  if (!halves) return tile * tile_rows + row;
  size_t half = stored->rows / 2, inner = tile * half_rows + row % half_rows;
  return inner < half ? row / half_rows * half + inner : stored->rows;
}

static unsigned element(const struct stored_matrix *stored, const uint8_t *row, size_t column) {
  return stored->bits == 8 ? row[column] : (row[column / 2] >> (column % 2 * 4)) & 15u;
}

// Four values of 4 bits as four bytes.
static uint32_t spread(uint32_t values) {
  uint32_t pairs = (values | values << 8) & 0x00ff00ffu;
  return (pairs | pairs << 4) & 0x0f0f0f0fu;
}

// All processors that have a kernel, and all that ONNX Runtime runs on, are little-endian.
static void pack_row(const struct stored_matrix *stored, size_t row, unsigned flip, size_t padded, uint8_t *out) {
  size_t bits = (size_t)stored->bits, blocks = divided_up(stored->columns, stored->block);
  const uint8_t *from = stored->data + row * blocks * stored->block * bits / 8;
  for (size_t load = 0; load < padded * bits / 8 / group_columns; load++, from += group_columns) {
    uint32_t packed;
    memcpy(&packed, from, sizeof packed);
    packed = bits == 8 ? packed ^ flip * 0x01010101u : spread(packed & 0xffff) | spread(packed >> 16) << 4;
    memcpy(out + load * tile_rows * group_columns, &packed, sizeof packed);
  }
}

static int zero_point(const struct stored_matrix *stored, size_t row, size_t block) {
  if (stored->zero_points == NULL) return 1 << (stored->bits - 1);
  size_t blocks = divided_up(stored->columns, stored->block);
  const uint8_t *zeros = stored->zero_points + row * divided_up(blocks * (size_t)stored->bits, 8);
  return (int)element(stored, zeros, block);
}

bool pack_matrix(const struct stored_matrix *stored, const struct kernel *kernel, bool halves, struct matrix *packed) {
  // Of a load's columns none is left out: blocks are multiples of 16, so the last one has room for them.
  size_t load_columns = group_columns * 8 / (size_t)stored->bits;
  size_t padded = divided_up(stored->columns, load_columns) * load_columns;
  size_t blocks = divided_up(stored->columns, stored->block);
  size_t tiles = halves ? divided_up(stored->rows / 2, half_rows) : divided_up(stored->rows, tile_rows);
  size_t tile_bytes = padded * tile_rows * (size_t)stored->bits / 8;
  size_t data_bytes = tiles * tile_bytes, entries = tiles * blocks * tile_rows;
  uint8_t *memory = take_pages(data_bytes + entries * (sizeof(float) + sizeof(int16_t)));
  if (memory == NULL) return false;
  *packed = (struct matrix){.rows = stored->rows, .columns = stored->columns, .block = stored->block, .blocks = blocks,
                            .tiles = tiles, .tile_bytes = tile_bytes, .bits = stored->bits, .data = memory,
                            .scales = (float *)(memory + data_bytes), .memory = memory};
  packed->zero_points = (int16_t *)(packed->scales + entries);
  unsigned flip = stored->bits == 8 && kernel->signed_weights ? 128 : 0;
  for (size_t tile = 0; tile < tiles; tile++) {
    for (size_t i = 0; i < tile_rows; i++) {
      size_t row = stored_row(stored, halves, tile, i);
      if (row >= stored->rows) continue;  // fresh pages are zero
      pack_row(stored, row, flip, padded, packed->data + tile * tile_bytes + i * group_columns);
      for (size_t block = 0; block < blocks; block++) {
        size_t at = (tile * blocks + block) * tile_rows + i;
        packed->scales[at] = stored->scales[row * blocks + block];
        packed->zero_points[at] = (int16_t)(zero_point(stored, row, block) - (int)flip);
      }
    }
  }
  return true;
}

void free_matrix(struct matrix *packed) {
  give_back_pages(packed->memory);
  *packed = (struct matrix){0};
}
