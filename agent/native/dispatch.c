#include <string.h>

#include "matrix.h"

#if defined(__x86_64__)
#include <cpuid.h>

// Asked of the processor itself, since compilers' own run-time libraries don't all know. Bits as Intel's and AMD's manuals
// number them: leaf 1 ECX, leaf 7 EBX and ECX, and in XCR0 the registers that the system saves.
enum { fma = 1 << 12, system_saves = 1 << 27, f16c = 1 << 29 };
enum { avx2 = 1 << 5, avx512_f_dq = 1 << 16 | 1 << 17, avx512_vnni = 1 << 11 };
static const unsigned avx512_bw_vl = 1u << 30 | 1u << 31;
enum { saved_256 = 6, saved_512 = 0xe6 };

static bool runs(const struct kernel *kernel) {
  unsigned a, b, c, d, more_b, more_c, saved;
  if (kernel == &portable_kernel) return true;
  if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
  if ((c & system_saves) == 0 || (c & fma) == 0 || (c & f16c) == 0) return false;
  if (!__get_cpuid_count(7, 0, &a, &more_b, &more_c, &d)) return false;
  __asm__("xgetbv" : "=a"(saved), "=d"(d) : "c"(0));
  bool has_avx2 = (more_b & avx2) != 0 && (saved & saved_256) == saved_256;
  if (kernel == &avx2_kernel) return has_avx2;
  return has_avx2 && (more_b & avx512_f_dq) == avx512_f_dq && (more_b & avx512_bw_vl) == avx512_bw_vl &&
         (more_c & avx512_vnni) != 0 && (saved & saved_512) == saved_512;
}
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>

enum { dot_product = 1 << 20 };  // HWCAP_ASIMDDP of the Linux kernel

static bool runs(const struct kernel *kernel) {
  return kernel == &portable_kernel || (getauxval(AT_HWCAP) & dot_product) != 0;
}
#else
static bool runs(const struct kernel *kernel) { return kernel == &portable_kernel; }
#endif

// Fastest first.
static const struct kernel *const kernels[] = {
#if defined(__x86_64__)
    &avx512_vnni_kernel,
    &avx2_kernel,
#elif defined(__aarch64__)
    &neon_dot_kernel,
#endif
    &portable_kernel,
};

const struct kernel *choose_kernel(const char *name) {
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; i++) {
    // Where only the portable one runs, ONNX Runtime's own is faster.
    bool wanted = name == NULL ? kernels[i] != &portable_kernel : strcmp(kernels[i]->name, name) == 0;
    if (wanted && runs(kernels[i])) return kernels[i];
  }
  return NULL;
}
