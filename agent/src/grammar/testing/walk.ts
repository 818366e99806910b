import assert from "node:assert/strict";
import { Automaton, type State } from "../automaton.ts";
import type { Grammar } from "../grammar.ts";

/** Whether the grammar allows the whole text. */
export function accepts(grammar: Grammar, text: string): boolean {
  const automaton = new Automaton(grammar);
  let state: State | null = automaton.start();
  for (const byte of Buffer.from(text)) state = state === null ? null : automaton.step(state, byte);
  return state?.accepts === true;
}

/** A text drawn byte by byte, what ends things a bit likelier than what goes on. Null when it didn't end. */
export function draw(grammar: Grammar, random: () => number): string | null {
  const automaton = new Automaton(grammar);
  const bytes: number[] = [];
  let state = automaton.start();
  while (bytes.length < 4_000) {
    const ways: [number, State][] = [];
    for (let byte = 0; byte < 256; byte += 1) {
      const next = automaton.step(state, byte);
      const weight = [0x22, 0x5d, 0x7d].includes(byte) ? 40 : 1;
      if (next !== null) for (let i = 0; i < weight; i += 1) ways.push([byte, next]);
    }
    if (state.accepts && (ways.length === 0 || random() < 0.3))
      return new TextDecoder("utf8", { fatal: true }).decode(Uint8Array.from(bytes));
    const [byte, next] = ways[Math.floor(random() * ways.length)] ?? [0, state];
    assert.ok(ways.length > 0, `no way on after ${Buffer.from(bytes).toString()}`);
    bytes.push(byte);
    state = next;
  }
  return null;
}
