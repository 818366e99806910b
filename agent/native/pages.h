// Zeroed memory for weights, in huge pages where the system has them.
#ifndef ESPALIER_PAGES_H
#define ESPALIER_PAGES_H

#include <stddef.h>

// Aligned to a cache line; null when there is none. Safe to call from several threads.
void *take_pages(size_t bytes);
void give_back_pages(void *memory);

#endif
