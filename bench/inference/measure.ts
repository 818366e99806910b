import { loadavg } from "node:os";
import { setTimeout } from "node:timers/promises";
import { bandwidthBufferBytes, lastLevelCacheBytes } from "../../agent/src/measure/cache-size.ts";
import { measureMemoryBandwidth } from "../../agent/src/measure/measure-memory-bandwidth.ts";
import { type Child, type ChildOptions, startChild } from "./child.ts";
import { median } from "./median.ts";
import { randomLevel, type Subject } from "./subjects.ts";

/** Context to decode at, and prompt lengths to prefill. */
export const decodeContexts = [64, 512, 1024] as const;
export const prefillLengths = [128, 512] as const;
const decodedTokens = 24;
/** Beginnings of the text after which subjects must choose as the fp32 graph does: a broken file isn't fast. */
const checkedPrompts = 16;
const checkedPromptTokens = 32;
/** Before each turn: threads of the last one's subject wait for work by spinning, some 20 ms long, on cores that the next needs. */
const settleMs = 250;
/** How long all are left alone at the end. */
const idleMs = 10_000;

/** One subject in one round: milliseconds to the first token by prompt length, and per token by context. */
export interface Round {
  readonly firstMs: Readonly<Record<string, number>>;
  readonly tokenMs: Readonly<Record<string, number>>;
}

export interface SubjectResult {
  readonly name: string;
  readonly threads: number;
  readonly loadMs: number;
  readonly residentBytes: number;
  /** Share of a core that it takes while it is asked nothing. */
  readonly idleCores: number;
  /** Share of checked prompts at which its token is that of the fp32 graph; null where the weights are random. */
  readonly agreement: number | null;
  readonly rounds: readonly Round[];
}

export interface Measured {
  readonly threads: number;
  /** The highest of all rounds: other work on the machine can only lower it. */
  readonly bandwidthBytesPerSecond: number;
  /** Runnable threads on the machine at the start, a minute's mean: above 0, others computed beside it. */
  readonly loadBefore: number;
  readonly results: readonly SubjectResult[];
}

/**
 * Times subjects round by round: in each round every subject has one turn, beginning with another one each time, and no two
 * run at once. Those of the larger shape have rounds of their own behind the others', so that not all need fit the memory.
 */
export async function measure(
  subjects: readonly Subject[],
  text: readonly number[],
  options: ChildOptions & { readonly rounds: number },
  say: (text: string) => void,
): Promise<Measured> {
  const { threads } = options;
  const [loadBefore = Number.NaN] = loadavg();
  const expected = await tokensOf(
    subjects.filter(({ name }) => name === "fp32"),
    text,
    options,
  );
  const bandwidths: number[] = [];
  const bufferBytes = bandwidthBufferBytes(await lastLevelCacheBytes("/sys"), null);
  const measureBandwidth = async (): Promise<void> => {
    const sample = await measureMemoryBandwidth({ threads, bufferBytes }, new AbortController().signal);
    bandwidths.push(sample.median);
  };
  const timed = subjects.filter(({ bits }) => bits !== 32);
  const results: SubjectResult[] = [];
  for (const isRandom of [false, true]) {
    const together = timed.filter(({ level }) => (level === randomLevel) === isRandom);
    results.push(
      ...(await measureTogether(together, isRandom ? null : expected, text, options, measureBandwidth, say)),
    );
  }
  return { threads, bandwidthBytesPerSecond: Math.max(...bandwidths), loadBefore, results };
}

async function measureTogether(
  subjects: readonly Subject[],
  expected: readonly number[] | null,
  text: readonly number[],
  options: ChildOptions & { readonly rounds: number },
  beforeRound: () => Promise<void>,
  say: (text: string) => void,
): Promise<SubjectResult[]> {
  const { threads, rounds } = options;
  const children: { child: Child; agreement: number | null; rounds: Round[] }[] = [];
  try {
    for (const subject of subjects) {
      const child = await startChild(subject, options);
      const own = expected === null ? [] : await chosenTokens(child, text);
      const agreement = expected === null ? null : own.filter((token, i) => token === expected[i]).length / own.length;
      const agrees = agreement === null ? "" : `, agrees at ${(agreement * 100).toFixed(0)} %`;
      say(`${subject.name}: loaded in ${child.loadMs.toFixed(0)} ms${agrees}`);
      children.push({ child, agreement, rounds: [] });
    }
    for (let round = 0; round < rounds && children.length > 0; round += 1) {
      await beforeRound();
      const first = round % children.length;
      for (const one of [...children.slice(first), ...children.slice(0, first)]) {
        await setTimeout(settleMs);
        one.rounds.push(await timeRound(one.child, text));
      }
      say(`${threads} threads: round ${round + 1} of ${rounds}`);
    }
    const before = await Promise.all(children.map(({ child }) => child.processorMs()));
    if (children.length > 0) await setTimeout(idleMs);
    const results: SubjectResult[] = [];
    for (const [i, { child, agreement, rounds: own }] of children.entries()) {
      const { name } = child.subject;
      const idleCores = ((await child.processorMs()) - (before[i] ?? Number.NaN)) / idleMs;
      const residentBytes = await child.residentBytes();
      results.push({ name, threads, loadMs: child.loadMs, residentBytes, idleCores, agreement, rounds: own });
    }
    return results;
  } finally {
    for (const { child } of children) await child.close();
  }
}

/** Two runs at one number of threads as one: rounds of both, and subjects of either. */
export function joined(a: Measured, b: Measured): Measured {
  return {
    threads: a.threads,
    bandwidthBytesPerSecond: Math.max(a.bandwidthBytesPerSecond, b.bandwidthBytesPerSecond),
    loadBefore: Math.max(a.loadBefore, b.loadBefore),
    results: [
      ...a.results.filter(({ name }) => !b.results.some((result) => result.name === name)),
      ...b.results.map((result) => {
        const before = a.results.find(({ name }) => name === result.name)?.rounds ?? [];
        return { ...result, rounds: [...before, ...result.rounds] };
      }),
    ],
  };
}

async function timeRound(child: Child, text: readonly number[]): Promise<Round> {
  const firstMs: Record<string, number> = {};
  const tokenMs: Record<string, number> = {};
  for (const length of new Set([...prefillLengths, ...decodeContexts])) {
    const decodes = decodeContexts.some((context) => context === length);
    const result = await child.run({ tokens: text.slice(0, length), newTokens: decodes ? 1 + decodedTokens : 1 });
    firstMs[length] = result.firstMs;
    if (decodes) tokenMs[length] = median(result.stepsMs);
  }
  return { firstMs, tokenMs };
}

async function tokensOf([subject]: readonly Subject[], text: readonly number[], options: ChildOptions) {
  if (subject === undefined) return null;
  const child = await startChild(subject, options);
  try {
    return await chosenTokens(child, text);
  } finally {
    await child.close();
  }
}

async function chosenTokens(child: Child, text: readonly number[]): Promise<number[]> {
  const chosen: number[] = [];
  for (let i = 0; i < checkedPrompts; i += 1) {
    const tokens = text.slice(i * checkedPromptTokens, (i + 1) * checkedPromptTokens);
    chosen.push(...(await child.run({ tokens, newTokens: 1 })).tokens);
  }
  return chosen;
}
