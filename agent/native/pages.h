// Zeroed memory for weights, in huge pages where the system has them; and the memory of files that they came from.
#ifndef ESPALIER_PAGES_H
#define ESPALIER_PAGES_H

#include <stddef.h>

// Aligned to a cache line; null when there is none. Safe to call from several threads.
void *take_pages(size_t bytes);
void give_back_pages(void *memory);

// Asks for huge pages where memory that isn't touched yet is aligned to them.
void prefer_huge_pages(void *memory, size_t bytes);

// Takes what mirrors a file unchanged out of resident memory, on Linux: it is read again when touched. Other memory stays.
void forget_file_pages(const void *memory, size_t bytes);

#endif
