import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, resolve } from "node:path";
import { type Binaries, checkoutFolder } from "@espalier/cli/up/binaries";
import { EspalierError } from "@espalier/shared/errors";

/** What the demo works on: a model, and text where there is some. */
export interface Subject {
  modelName: string;
  modelPath: string;
  calibrationPath: string | null;
  evaluationPath: string | null;
  /** Said to the user: where the text comes from. */
  textOrigin: string;
  question: string;
}

export interface SubjectRequest {
  /** `MODEL`: empty for the chat model that setup fetched, `tiny` for the bundled one, or a path. */
  model: string;
  /** `DATA`: a folder with text for calibration and evaluation, or empty. */
  data: string;
  binaries: Binaries;
}

const standardTextFolders = [process.env["ESPALIER_DATA"], join(checkoutFolder, "../shared/data")];

/** @throws {EspalierError} `demo.model-missing`, `demo.data-missing` */
export async function findSubject({ model, data, binaries }: SubjectRequest): Promise<Subject> {
  const subject = findModel(model, binaries);
  if (data !== "") return { ...subject, ...(await textIn(resolve(data))) };
  if (model === "tiny") return { ...subject, ...(await textIn(join(checkoutFolder, "models/tiny/text"))) };
  for (const folder of standardTextFolders) {
    const calibration = join(folder ?? "", "text/wikitext2-a.jsonl");
    const evaluation = join(folder ?? "", "text/wikitext2-b.jsonl");
    if (folder === undefined || !existsSync(calibration) || !existsSync(evaluation)) continue;
    return { ...subject, calibrationPath: calibration, evaluationPath: evaluation, textOrigin: "WikiText-2 at hand" };
  }
  const textOrigin = "none given: the dense model writes it";
  return { ...subject, calibrationPath: null, evaluationPath: null, textOrigin };
}

function findModel(model: string, binaries: Binaries): Pick<Subject, "modelName" | "modelPath" | "question"> {
  const question = "What is the capital of France? Answer in one sentence.";
  if (model === "tiny") {
    return {
      modelName: "tiny",
      modelPath: join(checkoutFolder, "models/tiny"),
      question: "Tell me a story about a dog.",
    };
  }
  if (model === "") {
    if (binaries.demoModel === undefined) {
      throw new EspalierError("demo.model-missing", "the demo's model has not been fetched", { remedy: "make demo" });
    }
    return { modelName: "smollm2-135m-instruct", modelPath: binaries.demoModel, question };
  }
  const path = resolve(model);
  if (!existsSync(path)) {
    throw new EspalierError("demo.model-missing", `MODEL=${model} does not exist`, {
      fields: { path },
      remedy: "give a folder of safetensors, a .gguf file, or tiny",
    });
  }
  const name = basename(path).replace(/\.gguf$/, "");
  return { modelName: name, modelPath: path, question };
}

/** Picks calibration and evaluation text out of a folder by their names; one file serves as both, said so. */
async function textIn(folder: string): Promise<Pick<Subject, "calibrationPath" | "evaluationPath" | "textOrigin">> {
  const names = existsSync(folder) ? (await readdir(folder)).filter((name) => /\.(jsonl|txt)$/.test(name)).sort() : [];
  const [first] = names;
  if (first === undefined) {
    throw new EspalierError("demo.data-missing", `DATA=${folder} holds no .jsonl or .txt`, { fields: { folder } });
  }
  const calibration = names.find((name) => /train|calib/.test(name)) ?? first;
  const evaluation = names.find((name) => /valid|eval|test/.test(name)) ?? names.at(-1) ?? first;
  return {
    calibrationPath: join(folder, calibration),
    evaluationPath: join(folder, evaluation),
    textOrigin: calibration === evaluation ? `${calibration} for both` : `${calibration}, ${evaluation}`,
  };
}
