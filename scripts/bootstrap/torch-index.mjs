import { access } from "node:fs/promises";
import { tryCommand } from "./run-command.mjs";

export const TORCH = "2.13.0";
const CPU_INDEX = "https://download.pytorch.org/whl/cpu";
const PROBE_SECONDS = 4;

// Asked through Python, since its urllib follows the same proxy variables as pip.
const PROBE = `import urllib.request; urllib.request.urlopen("${CPU_INDEX}/torch/", timeout=${PROBE_SECONDS}).close()`;

/**
 * Which index torch should come from: without an NVIDIA GPU from the one with CPU builds, a tenth of the size.
 * @param {{ python: string, hasGpu?: () => Promise<boolean>, reachable?: (python: string) => Promise<boolean> }} options
 * @returns {Promise<{ pipArguments: string[], why: string }>} no arguments: pip's own configured index
 */
export async function torchIndex({ python, hasGpu = hasNvidiaGpu, reachable = cpuIndexAnswers }) {
  if (await hasGpu()) return { pipArguments: [], why: "an NVIDIA GPU is present: the build with GPU support" };
  if (await reachable(python)) return { pipArguments: ["--index-url", CPU_INDEX], why: "no NVIDIA GPU: the CPU build" };
  return { pipArguments: [], why: "PyTorch's CPU index is not reachable: from pip's default index" };
}

async function hasNvidiaGpu() {
  return access("/proc/driver/nvidia/version").then(
    () => true,
    () => false,
  );
}

async function cpuIndexAnswers(python) {
  return (await tryCommand(python, ["-c", PROBE], { timeoutMs: (PROBE_SECONDS + 2) * 1000 })).code === 0;
}
