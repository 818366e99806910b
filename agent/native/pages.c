#define _GNU_SOURCE
#include "pages.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

// Matrices of a small model have some 100 KB: each on its own they would never fill a huge page, so they share regions.
// A matrix's own pages are returned with it, the region with its last matrix.
enum { line_bytes = 64, page_bytes = 4096, huge_page_bytes = 2 << 20, region_bytes = 32 << 20 };

struct region {
  size_t bytes, used, matrices;
};

// Before each matrix, a line that names its region. `bytes` of both.
struct owner {
  struct region *region;
  size_t bytes;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct region *filling;

void prefer_huge_pages(void *memory, size_t bytes) {
#ifdef MADV_HUGEPAGE
  uintptr_t start = ((uintptr_t)memory + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes;
  uintptr_t end = ((uintptr_t)memory + bytes) / huge_page_bytes * huge_page_bytes;
  if (start < end) madvise((void *)start, end - start, MADV_HUGEPAGE);
#else
  (void)memory, (void)bytes;
#endif
}

static struct region *map_region(size_t least) {
  size_t bytes = least > region_bytes ? (least + huge_page_bytes - 1) / huge_page_bytes * huge_page_bytes : region_bytes;
  uint8_t *all = mmap(NULL, bytes + huge_page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return NULL;
  size_t before = (huge_page_bytes - (uintptr_t)all % huge_page_bytes) % huge_page_bytes;
  if (before > 0) munmap(all, before);
  if (before < huge_page_bytes) munmap(all + before + bytes, huge_page_bytes - before);
  struct region *region = (struct region *)(all + before);
  prefer_huge_pages(region, bytes);
  *region = (struct region){.bytes = bytes, .used = line_bytes};
  return region;
}

static void release(struct region *region) {
  if (--region->matrices > 0) return;
  if (region == filling) filling = NULL;
  munmap(region, region->bytes);
}

void *take_pages(size_t bytes) {
  size_t needed = line_bytes + (bytes + line_bytes - 1) / line_bytes * line_bytes;
  pthread_mutex_lock(&mutex);
  struct region *region = filling;
  if (region == NULL || region->bytes - region->used < needed) {
    region = map_region(needed + line_bytes);
    // The one with more room left is filled on.
    if (region != NULL && (filling == NULL || region->bytes - needed > filling->bytes - filling->used)) filling = region;
  }
  uint8_t *memory = NULL;
  if (region != NULL) {
    uint8_t *start = (uint8_t *)region + region->used;
    *(struct owner *)start = (struct owner){region, needed};
    region->used += needed;
    region->matrices++;
    memory = start + line_bytes;
  }
  pthread_mutex_unlock(&mutex);
  return memory;
}

void give_back_pages(void *memory) {
  if (memory == NULL) return;
  const struct owner *owner = (const struct owner *)((uint8_t *)memory - line_bytes);
  struct region *region = owner->region;
  uintptr_t start = ((uintptr_t)owner + page_bytes - 1) / page_bytes * page_bytes;
  uintptr_t end = ((uintptr_t)owner + owner->bytes) / page_bytes * page_bytes;
  pthread_mutex_lock(&mutex);
  if (start < end) madvise((void *)start, end - start, MADV_DONTNEED);
  release(region);
  pthread_mutex_unlock(&mutex);
}

#ifdef __linux__
enum { entries_at_once = 512 };
static const uint64_t present = 1ull << 63, of_file = 1ull << 61;

// Whether each page of [first, end) that is there is a file's (the kernel's admin-guide/mm/pagemap.rst).
static bool mirror_file(int pagemap, uintptr_t first, uintptr_t end) {
  uint64_t entries[entries_at_once];
  while (first < end) {
    size_t pages = (end - first) / page_bytes, count = pages < entries_at_once ? pages : entries_at_once;
    ssize_t bytes = (ssize_t)(count * sizeof *entries);
    if (pread(pagemap, entries, (size_t)bytes, (off_t)(first / page_bytes * sizeof *entries)) != bytes) return false;
    for (size_t i = 0; i < count; i++)
      if ((entries[i] & present) != 0 && (entries[i] & of_file) == 0) return false;
    first += count * page_bytes;
  }
  return true;
}

void forget_file_pages(const void *memory, size_t bytes) {
  uintptr_t first = ((uintptr_t)memory + page_bytes - 1) / page_bytes * page_bytes;
  uintptr_t end = ((uintptr_t)memory + bytes) / page_bytes * page_bytes;
  int pagemap = first < end && sysconf(_SC_PAGESIZE) == page_bytes ? open("/proc/self/pagemap", O_RDONLY) : -1;
  if (pagemap < 0) return;
  if (mirror_file(pagemap, first, end)) madvise((void *)first, end - first, MADV_DONTNEED);
  close(pagemap);
}
#else
void forget_file_pages(const void *memory, size_t bytes) { (void)memory, (void)bytes; }
#endif
