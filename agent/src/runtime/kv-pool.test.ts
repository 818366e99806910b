import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CacheMemory, spanData } from "./cache-memory.ts";
import type { Engine } from "./engine.ts";
import { KvPool, type Sequence } from "./kv-pool.ts";
import type { Span } from "./kv-space.ts";
import { seededRandom } from "./random.ts";

const kvHeads = 3;
const headSize = 2;
const graph = { layers: [{ kvHeads, headSize }] } as ConstructorParameters<typeof CacheMemory>[0];

/**
 * The real cache memory without a graph: a run writes each token's id where its keys belong, so that what a span holds can
 * be read back.
 */
function recordingEngine(capacity: number) {
  const memory = new CacheMemory(graph, capacity, (elements) => new Float32Array(elements));
  const place = (span: Span, head: number, position: number) => (head * span.capacity + position) * headSize;
  const engine: Engine = {
    kind: "ffi",
    kernel: null,
    cacheElementBytes: 4,
    capacity,
    vocabularySize: 1000,
    run: async () => assert.fail("the pool doesn't run the graph"),
    move: (from, to, held) => memory.move(from, to, held),
    forget: () => {},
    close: async () => {},
  };
  return {
    engine,
    write(span: Span, position: number, token: number): void {
      for (const tensor of memory.tensors)
        for (let head = 0; head < kvHeads; head += 1)
          spanData(tensor, span).fill(token * 8 + head, place(span, head, position), place(span, head, position + 1));
    },
    read(span: Span, held: number): number[] {
      return Array.from({ length: held }, (_, position) => {
        for (const tensor of memory.tensors)
          for (let head = 0; head < kvHeads; head += 1) {
            const value = spanData(tensor, span)[place(span, head, position)]!;
            assert.equal(value % 8, head, "rows of another head");
          }
        return Math.floor(spanData(memory.tensors[0]!, span)[place(span, 0, position)]! / 8);
      });
    },
  };
}

function poolOf(capacity: number) {
  const recording = recordingEngine(capacity);
  const pool = new KvPool(recording.engine);
  return {
    pool,
    enter: (tokens: number[], more: Partial<Sequence> = {}) =>
      pool.enter({ tokens: [...tokens], mostPositions: tokens.length, steady: false, ...more }),
    /** Does what prefill does: makes room and writes what isn't held. False while the sequence has to wait. */
    compute(sequence: Sequence): boolean {
      const span = pool.makeRoom(sequence);
      if (span === null) return false;
      for (; sequence.held < sequence.tokens.length; sequence.held += 1)
        recording.write(span, sequence.held, sequence.tokens[sequence.held]!);
      return true;
    },
    check(sequence: Sequence): void {
      if (sequence.span !== null)
        assert.deepEqual(recording.read(sequence.span, sequence.held), sequence.tokens.slice(0, sequence.held));
    },
  };
}

const count = (length: number, from = 1): number[] => Array.from({ length }, (_, i) => from + i);

describe("KvPool", () => {
  it("starts the next turn of a chat behind what the last one left, but for the last token", () => {
    const { pool, enter, compute, check } = poolOf(1000);
    const first = enter(count(40));
    assert.ok(compute(first));
    pool.leave(first, true);
    const next = enter(count(60));
    assert.ok(pool.makeRoom(next));
    assert.deepEqual([next.held, next.reused], [40, 40]);
    compute(next);
    check(next);
    pool.leave(next, true);
    const same = enter(count(60));
    pool.makeRoom(same);
    assert.equal(same.reused, 59);
  });

  it("copies a common beginning and leaves the longer conversation as it is", () => {
    const { pool, enter, compute, check } = poolOf(1000);
    const long = enter(count(100));
    compute(long);
    pool.leave(long, true);
    const other = enter([...count(20), ...count(30, 500)]);
    compute(other);
    check(other);
    assert.equal(other.reused, 20);
    const again = enter(count(120));
    compute(again);
    check(again);
    assert.equal(again.reused, 100);
  });

  it("computes a steady sequence from its beginning, with all its room at once", () => {
    const { pool, enter, compute } = poolOf(1000);
    const first = enter(count(40));
    compute(first);
    pool.leave(first, true);
    const steady = enter(count(40), { steady: true, mostPositions: 700 });
    const span = pool.makeRoom(steady);
    assert.deepEqual([steady.reused, span?.capacity], [0, 700]);
  });

  it("makes a younger sequence wait for room, and gives none to one that came after it", () => {
    const { pool, enter, compute } = poolOf(1000);
    const running = enter(count(700), { steady: true });
    const large = enter(count(400), { steady: true });
    const small = enter(count(10));
    assert.ok(compute(running));
    assert.ok(!compute(large));
    assert.ok(!compute(small), "there is room, but the large one came first");
    pool.leave(running, false);
    assert.ok(compute(large));
    assert.ok(compute(small));
  });

  it("takes the youngest sequence's room for an older one that grows, and the youngest begins anew", () => {
    const { pool, enter, compute, check } = poolOf(1000);
    const [old, middle, young] = [enter(count(300), { mostPositions: 900 }), enter(count(150)), enter(count(250))];
    for (const sequence of [old, middle, young]) assert.ok(compute(sequence));
    old.tokens.push(...count(300, 700));
    assert.ok(compute(old));
    assert.equal(young.span, null);
    assert.ok(!compute(young));
    check(old);
    check(middle);
    pool.leave(old, false);
    assert.ok(compute(young));
    check(young);
  });

  it("keeps every sequence's cache whole through random growth, moves and interruptions, and ends them all", () => {
    const random = seededRandom(11);
    const whole = (most: number) => Math.floor(random() * most);
    const { pool, enter, compute, check } = poolOf(900);
    let running: Sequence[] = [];
    let finished = 0;
    let entered = 0;
    for (let step = 0; finished < 150; step += 1) {
      assert.ok(step < 100_000, "some sequence never ends");
      if (running.length < 6 && entered < 150) {
        entered += 1;
        // Few beginnings, so that prefixes are often common.
        const tokens = count(1 + whole(300), whole(3) * 100);
        running.push(enter(tokens, { mostPositions: tokens.length + whole(600), steady: whole(4) === 0 }));
      }
      const sequence = running[whole(running.length)]!;
      if (!compute(sequence)) continue;
      for (const one of running) check(one);
      const more = Math.min(1 + whole(40), sequence.mostPositions - sequence.tokens.length);
      if (more > 0) sequence.tokens.push(...count(more, whole(100)));
      else {
        running = running.filter((other) => other !== sequence);
        pool.leave(sequence, whole(2) === 0);
        finished += 1;
      }
    }
  });
});
