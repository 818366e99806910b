import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import koffi, { type LibraryHandle } from "koffi";

/** The ONNX Runtime library that onnxruntime-node carries for this platform, opened for foreign calls. */
export interface OrtLibrary {
  readonly handle: LibraryHandle;
  /** The version the package states; the library's own version string must equal it. */
  readonly packageVersion: string;
}

const fileNames: Readonly<Record<string, (version: string) => string>> = {
  linux: () => "libonnxruntime.so.1",
  darwin: (version) => `libonnxruntime.${version}.dylib`,
  win32: () => "onnxruntime.dll",
};

/**
 * Loads the library once more (the system counts references). Throws where the package has none for this platform.
 *
 * INVARIANT: some reference stays open for the life of the process. ONNX Runtime has threads and thread-local
 * destructors of its own, so unmapping it crashes later. `loadRuntime` holds one in the main thread.
 */
export function openOrtLibrary(): OrtLibrary {
  const packageFile = createRequire(import.meta.url).resolve("onnxruntime-node/package.json");
  const packageVersion = (JSON.parse(readFileSync(packageFile, "utf8")) as { version: string }).version;
  const fileName = fileNames[process.platform];
  if (fileName === undefined) throw new Error(`onnxruntime-node has no library for ${process.platform}`);
  const folder = join(dirname(packageFile), "bin", "napi-v6", process.platform, process.arch);
  return { handle: koffi.load(join(folder, fileName(packageVersion))), packageVersion };
}

const held: LibraryHandle[] = [];

/** Keeps the library mapped until the process ends. Does nothing where it can't be loaded: the binding serves there. */
export function holdOrtLibrary(): void {
  if (held.length > 0) return;
  try {
    held.push(openOrtLibrary().handle);
  } catch {
    // The worker's own attempt reports why.
  }
}
