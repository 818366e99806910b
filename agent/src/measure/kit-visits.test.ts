import assert from "node:assert/strict";
import { test } from "node:test";
import { orderVisits } from "./kit-visits.ts";

const q8 = { bits: 8, blockSize: 128, symmetric: true, accuracyLevel: 4 } as const;
const q4 = { bits: 4, blockSize: 32, symmetric: false, accuracyLevel: 4 } as const;
const sizes = [
  { depth: 15, ffnSize: 1536 },
  { depth: 30, ffnSize: 1536 },
  { depth: 30, ffnSize: 768 },
];
const kit = [q8, q4].flatMap((format) =>
  sizes.map(({ depth, ffnSize }) => {
    const id = `q${format.bits}/d${depth}f${ffnSize}`;
    return { id, format, depth, ffnSize, weightsBytes: format.bits * depth * ffnSize };
  }),
);
const ids = (graphs: readonly { id: string }[]) => graphs.map(({ id }) => id);

test("two depths of each format and the long context come first, then other widths, then all once more", () => {
  const { order, needed, longId } = orderVisits(kit);
  assert.equal(longId, "q4/d30f768");
  assert.deepEqual(ids(order.slice(0, needed)), [
    "q8/d15f1536",
    "q8/d30f1536",
    "q4/d15f1536",
    "q4/d30f1536",
    "q4/d30f768",
  ]);
  assert.deepEqual(ids(order.slice(needed, 6)), ["q8/d30f768"]);
  assert.deepEqual(ids(order.slice(6)), ids(order.slice(0, 6)));
});

test("a kit of one width has nothing that can be left out, and one without graphs no visits", () => {
  const oneWidth = kit.filter(({ ffnSize }) => ffnSize === 1536);
  assert.equal(orderVisits(oneWidth).needed, oneWidth.length);
  assert.deepEqual(orderVisits([]), { order: [], needed: 0, longId: undefined });
});
