import { access } from "node:fs/promises";
import { join } from "node:path";
import { compileKernels, KERNEL_PLATFORMS, kernelSources } from "./compile-kernels.mjs";
import { clearStamp, hashInputs, readStamp, writeStamp } from "./stamp.mjs";

const STEP = "kernels";

/**
 * The agent's kernels for this machine, below .espalier/kernels.
 * @param {import("./main.mjs").Context & { python: string }} context
 */
export async function kernelsStep({ home, python, say, beginWork }) {
  const platform = `linux-${process.arch}`;
  if (process.platform !== "linux" || !(platform in KERNEL_PLATFORMS)) return;
  const folder = join(home, "kernels");
  const inputs = hashInputs([platform, ...(await kernelSources())]);
  const stamp = await readStamp(home, STEP);
  const there = await access(join(folder, platform, "kernels.so")).then(
    () => true,
    () => false,
  );
  if (there && stamp?.inputs === inputs) return;
  await beginWork();
  await clearStamp(home, STEP);
  say("kernels: compiling them");
  await compileKernels({ python, platform, folder, home });
  await writeStamp(home, STEP, { inputs });
  say("kernels: compiled");
}
