import { serveRuns } from "./protocol.ts";
import { readSubjects } from "./subjects.ts";

/** The part of node-llama-cpp that is used; the package is installed for the benchmark alone. */
interface NodeLlamaCpp {
  getLlama(options: { gpu: false; build: "never"; logLevel: string; maxThreads: number }): Promise<{
    loadModel(options: { modelPath: string }): Promise<{
      createContext(options: { contextSize: number; batchSize: number; threads: number }): Promise<{
        getSequence(): {
          clearHistory(): Promise<void>;
          evaluate(tokens: readonly number[], options: { temperature: 0; yieldEogToken: true }): AsyncIterable<number>;
        };
      }>;
    }>;
  }>;
}

/** llama.cpp. Arguments: folder of the subjects, subject, threads, context, the package's entry. */
const [folder = "", name = "", threads, contextTokens, entry = ""] = process.argv.slice(2);
const subject = (await readSubjects(folder)).find((one) => one.name === name);
if (subject === undefined) throw new Error(`${name} is not in ${folder}`);
const { getLlama }: NodeLlamaCpp = await import(entry);
const llama = await getLlama({ gpu: false, build: "never", logLevel: "error", maxThreads: Number(threads) });
const startMs = performance.now();
const model = await llama.loadModel({ modelPath: subject.path });
const context = await model.createContext({
  contextSize: Number(contextTokens),
  batchSize: 512,
  threads: Number(threads),
});
const sequence = context.getSequence();
const generate = async function* (tokens: readonly number[]): AsyncIterable<number> {
  await sequence.clearHistory();
  yield* sequence.evaluate(tokens, { temperature: 0, yieldEogToken: true });
};
// The first run allocates; ours has had one when it is loaded.
for await (const _ of generate([1, 2])) break;
serveRuns(performance.now() - startMs, generate);
