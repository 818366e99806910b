import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { type Listing, renderList } from "./print.ts";

interface Row {
  name: string;
  sizeBytes: number;
}
const rows: Row[] = [
  { name: "dense", sizeBytes: 12 },
  { name: "pruned", sizeBytes: 7 },
];
const listing: Listing<Row> = {
  name: (row) => row.name,
  columns: [
    { title: "NAME", cell: (row) => row.name },
    { title: "SIZE", cell: (row) => String(row.sizeBytes) },
  ],
};

test("a table has a head, aligned columns and no borders", () => {
  assert.equal(renderList(rows, listing, "table"), "NAME    SIZE\ndense   12\npruned  7\n");
});

test("json and yaml carry the whole rows", () => {
  assert.deepEqual(JSON.parse(renderList(rows, listing, "json")), rows);
  assert.deepEqual(parse(renderList(rows, listing, "yaml")), rows);
});

test("names are one a line, for pipes", () => {
  assert.equal(renderList(rows, listing, "name"), "dense\npruned\n");
});

test("an unknown format is refused with those that exist", () => {
  assert.throws(() => renderList(rows, listing, "xml"), { code: "output.unknown-format", remedy: /json/ });
});
