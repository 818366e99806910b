import assert from "node:assert/strict";
import { test } from "node:test";
import { parse } from "yaml";
import { type Listing, renderList, renderOne, renderTable } from "./print.ts";

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

test("a wide table has the columns that the usual one leaves out", () => {
  const more: Listing<Row> = {
    ...listing,
    columns: [...listing.columns, { title: "TWICE", cell: (row) => String(2 * row.sizeBytes), wide: true }],
  };
  assert.equal(renderList(rows, more, "table"), renderList(rows, listing, "table"));
  assert.equal(renderList(rows, more, "wide"), "NAME    SIZE  TWICE\ndense   12    24\npruned  7     14\n");
});

test("long text wraps where the terminal ends, the other columns keep their width", () => {
  const columns = [
    { title: "NAME", cell: (row: Row) => row.name },
    { title: "WHY", cell: () => "the next better variant is too slow for its limit", wraps: true as const },
  ];
  const lines = renderTable(rows, columns, 40).split("\n");
  assert.ok(lines.every((line) => line.length <= 40));
  assert.match(lines[1] ?? "", /^dense {3}the next better/);
  assert.match(lines[2] ?? "", /^ {8}\S/);
});

test("one thing is its text for people, its whole self for programs", () => {
  const showing = { name: (row: Row) => row.name, text: (row: Row) => `${row.name} has ${row.sizeBytes}\n` };
  const [row] = rows;
  assert.ok(row);
  assert.equal(renderOne(row, showing, "table"), "dense has 12\n");
  assert.deepEqual(JSON.parse(renderOne(row, showing, "json")), row);
  assert.equal(renderOne(row, showing, "name"), "dense\n");
});
