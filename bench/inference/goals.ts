import { decodeContexts, type Measured, prefillLengths, type Round, type SubjectResult } from "./measure.ts";
import { median } from "./median.ts";
import type { Subject } from "./subjects.ts";

export interface Goal {
  readonly name: string;
  readonly value: number;
  readonly goal: number;
  readonly met: boolean;
}

/** Our format and its peers' at equal bits, and in which comparisons. */
const pairs = [
  { bits: 8, ours: "q8b128", theirs: "q8_0", what: "int8" },
  { bits: 4, ours: "q4b128a", theirs: "q4_0", what: "int4" },
  { bits: 8, ours: "m-q8b128", theirs: "m-q8_0", what: "int8 of 0.5B" },
  { bits: 4, ours: "m-q4b128a", theirs: "m-q4_0", what: "int4 of 0.5B" },
] as const;

type Rate = (round: Round) => number;
const decodeRate =
  (context: number): Rate =>
  (round) =>
    1000 / (round.tokenMs[context] ?? Number.NaN);
const prefillRate =
  (length: number): Rate =>
  (round) =>
    (1000 * length) / (round.firstMs[length] ?? Number.NaN);

/** The goals as ratios: each the median over rounds of what two subjects, or two contexts, did in the same round. */
export function goalsOf(measured: readonly Measured[], subjects: readonly Subject[]): Goal[] {
  const goals: Goal[] = [];
  const add = (name: string, value: number, goal: number): void => {
    goals.push({ name, value: Number(value.toFixed(3)), goal, met: value >= goal });
  };
  for (const { threads, results } of measured) {
    const at = `${threads} thread${threads === 1 ? "" : "s"}`;
    const find = (name: string) => results.find((result) => result.name === name);
    for (const { bits, ours, theirs, what } of pairs) {
      const tag = ours.startsWith("m-") ? "m-" : "";
      const [own, peer, pruned] = [find(ours), find(theirs), find(`p40-${ours}`)];
      const [ik, openvino] = [find(`${tag}ik-${theirs.slice(tag.length)}`), find(`${tag}ov-int${bits}`)];
      if (own === undefined || peer === undefined) continue;
      const context = decodeContexts[0];
      const [longest = context] = decodeContexts.slice(-1);
      const compare = (
        task: string,
        other: SubjectResult | undefined,
        engine: string,
        rate: Rate,
        goal: number,
      ): void => {
        if (other !== undefined) add(`${task} ${what}, ${at}: ours / ${engine}`, ratio(own, other, rate), goal);
      };
      compare("decode", peer, "llama.cpp", decodeRate(context), 1.1);
      compare("decode", ik, "ik_llama.cpp", decodeRate(context), 1);
      for (const length of prefillLengths) {
        compare(`prefill ${length}`, peer, "llama.cpp", prefillRate(length), 2);
        compare(`prefill ${length}`, openvino, "OpenVINO", prefillRate(length), 1);
      }
      add(
        `decode ${what}, ${at}: context ${longest} / ${context}`,
        median(own.rounds.map((round) => decodeRate(longest)(round) / decodeRate(context)(round))),
        0.7,
      );
      if (pruned !== undefined)
        add(`decode ${what}, ${at}: pruned 40 % / dense`, ratio(pruned, own, decodeRate(context)), 1.25);
    }
  }
  const perplexity = (name: string) => subjects.find((subject) => subject.name === name)?.perplexity ?? Number.NaN;
  add("perplexity int4: q4_0 / q4b128a", perplexity("q4_0") / perplexity("q4b128a"), 1);
  return goals;
}

function ratio(a: SubjectResult, b: SubjectResult, rate: Rate): number {
  const ratios = a.rounds.map((round, i) => {
    const other = b.rounds[i];
    return other === undefined ? Number.NaN : rate(round) / rate(other);
  });
  return median(ratios);
}

export interface Row {
  readonly name: string;
  readonly engine: string;
  readonly level: string;
  readonly threads: number;
  readonly megabytes: number;
  readonly perplexity: number | null;
  readonly agreement: number | null;
  readonly decodeTokensPerSecond: Readonly<Record<string, number>>;
  readonly prefillTokensPerSecond: Readonly<Record<string, number>>;
  /** Weights read per second over the memory bandwidth, decoding at the shortest context. */
  readonly rooflineShare: number;
  readonly loadMs: number;
  readonly residentMegabytes: number;
  readonly idleCores: number;
}

/** Medians over rounds. */
export function rowsOf(measured: readonly Measured[], subjects: readonly Subject[]): Row[] {
  return measured.flatMap(({ threads, bandwidthBytesPerSecond, results }) =>
    results.flatMap((result) => {
      const subject = subjects.find(({ name }) => name === result.name);
      if (subject === undefined) return [];
      const rates = (keys: readonly number[], rate: (key: number) => Rate) =>
        Object.fromEntries(keys.map((key) => [key, Math.round(median(result.rounds.map(rate(key))) * 10) / 10]));
      const decode = rates(decodeContexts, decodeRate);
      const bytesPerSecond = (decode[decodeContexts[0]] ?? Number.NaN) * subject.weightBytes;
      return {
        name: result.name,
        engine: subject.engine,
        level: subject.level,
        threads,
        megabytes: Math.round(subject.weightBytes / 1e5) / 10,
        perplexity: rounded(subject.perplexity, 2),
        agreement: rounded(result.agreement, 3),
        decodeTokensPerSecond: decode,
        prefillTokensPerSecond: rates(prefillLengths, prefillRate),
        rooflineShare: Number((bytesPerSecond / bandwidthBytesPerSecond).toFixed(3)),
        loadMs: Math.round(result.loadMs),
        residentMegabytes: Math.round(result.residentBytes / 1e6),
        idleCores: result.idleCores,
      };
    }),
  );
}

function rounded(value: number | null, digits: number): number | null {
  return value === null ? null : Number(value.toFixed(digits));
}
