import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import koffi from "koffi";
import { openOnce } from "./open-once.ts";
import type { NativeBuffer, OrtApi, Pointer } from "./ort-c-api.ts";

/** The agent's own kernels (agent/native): operators that ONNX Runtime calls in place of its own. */
export interface KernelLibrary {
  /** Of the kernel chosen for this processor. */
  readonly kernel: string;
  /** Makes the operators known to sessions created with these options. */
  register(api: OrtApi, sessionOptions: Pointer): void;
  /**
   * Runs `create`, and gives the operators of the session created in it a team of `threads`, for its whole life: awake
   * within a run, asleep else.
   */
  withTeam<Result>(threads: number, create: () => Result): Result;
  /** Asks for memory that isn't touched yet in huge pages, where the system has them. */
  preferHugePages(memory: NativeBuffer): void;
}

const folder = fileURLToPath(new URL("../../../.espalier/kernels", import.meta.url));
const extensions: Readonly<Record<string, string>> = { linux: "so", darwin: "dylib" };

/** Where this platform's library lies, whether it is there or not. */
export function kernelLibraryFile(): string {
  return join(folder, `${process.platform}-${process.arch}`, `kernels.${extensions[process.platform] ?? "none"}`);
}

/**
 * How long an idle thread of a team stays awake: through what one thread does alone within a run. Longer, from token to token,
 * was slower even on cores of its own, since the process's main thread needs one in between.
 */
const teamSpinUs = 50;

/** Never closed: sessions call into the library as long as they live, and their threads longer. */
const foreign = openOnce(() => {
  const file = kernelLibraryFile();
  if (!existsSync(file)) throw new Error(`there is no ${file}`);
  const handle = koffi.load(file);
  return {
    useKernel: handle.func("EspalierUseKernel", "str", ["str"]),
    registerOps: handle.func("RegisterCustomOps", "void *", ["void *", "void *"]),
    useTeam: handle.func("EspalierUseTeam", "bool", ["uint32_t", "uint32_t"]),
    preferHugePages: handle.func("EspalierPreferHugePages", "void", ["void *", "size_t"]),
  };
});

/**
 * Opens the library and chooses the fastest kernel (`auto`) or the one of this name. Throws where there is no library for
 * the platform, or no kernel for the processor.
 */
export function openKernelLibrary(kernel: string): KernelLibrary {
  const { useKernel, registerOps, useTeam, preferHugePages } = foreign();
  const chosen: unknown = useKernel(kernel === "auto" ? null : kernel);
  if (typeof chosen !== "string")
    throw new Error(`this processor can't run ${kernel === "auto" ? "any of the kernels" : kernel}`);
  return {
    kernel: chosen,
    withTeam: (threads, create) => {
      if (!useTeam(threads, teamSpinUs)) throw new Error(`there are no ${threads} threads to be had`);
      try {
        return create();
      } finally {
        useTeam(0, 0);
      }
    },
    preferHugePages: (memory) => preferHugePages(memory, memory.byteLength),
    register: (api, sessionOptions) => api.check("RegisterCustomOps", registerOps(sessionOptions, api.base)),
  };
}
