// Lists without a machine: what the side-by-side tests show of util-linux's, in small.

import { describe, expect, test } from "bun:test";
import { type Column, type Look, plant, renderListing } from "../../src/commands/listing.ts";

interface Row {
  readonly id: number;
  readonly name?: string;
  readonly list?: string;
}

const id: Column<Row> = { name: "ID", description: "", json: "number", right: true, text: (it) => it.id };
const name: Column<Row> = {
  name: "NAME",
  description: "",
  json: "string",
  truncate: true,
  text: (it) => it.name,
};
const list: Column<Row> = {
  name: "LIST",
  description: "",
  json: "string",
  lines: true,
  text: (it) => it.list,
};
const look: Look = { how: "table", name: "rows", headings: "withLines", unicode: true };

const render = (
  rows: readonly (Row & { readonly below?: number })[],
  columns: readonly Column<Row>[],
  how: Partial<Look> = {},
): string => {
  const tree = plant<Row>();
  const lines = rows.map(({ below }, i) => ({ below, i }));
  const made: ReturnType<typeof tree.add>[] = [];
  for (const { below, i } of lines)
    made.push(tree.add(rows[i]!, below === undefined ? undefined : made[below]));
  return renderListing(tree, columns, { ...look, ...how });
};

describe("tables", () => {
  test("columns are as wide as what is in them, and nothing is put behind the last", () => {
    expect(
      render(
        [
          { id: 1, name: "a" },
          { id: 1000, name: "long" },
        ],
        [id, name],
      ),
    ).toBe("  ID NAME\n   1 a\n1000 long\n");
    expect(render([{ id: 1, name: "a" }, { id: 2 }], [name, id])).toBe("NAME ID\na     1\n      2\n");
    expect(render([{ id: 1 }], [id, name])).toBe("ID NAME\n 1 \n");
  });
  test("a hint counts for more than a name that is narrower, where the name is not wide enough", () => {
    const hinted = { ...id, hint: 5 };
    expect(render([{ id: 1 }], [hinted])).toBe("ID\n 1\n");
    expect(render([{ id: 100 }], [hinted])).toBe("   ID\n  100\n");
    expect(render([{ id: 1_000_000 }], [hinted])).toBe("     ID\n1000000\n");
  });
  test("a tree stands in its column, also beside the further lines of other cells", () => {
    const rows = [
      { id: 1, name: "a", list: "x\ny" },
      { id: 2, name: "b", list: "x\ny", below: 0 },
      { id: 3, name: "c", below: 0 },
      { id: 4, name: "d", list: "x\ny", below: 2 },
    ];
    expect(render(rows, [name, list, id], { tree: "NAME" })).toBe(
      [
        "NAME  LIST ID",
        "a     x     1",
        "│     y    ",
        "├─b   x     2",
        "│     y    ",
        "└─c         3",
        "  └─d x     4",
        "      y    ",
        "",
      ].join("\n"),
    );
    expect(render(rows.slice(0, 2), [id, name], { tree: "NAME", unicode: false })).toBe(
      "ID NAME\n 1 a\n 2 `-b\n",
    );
    expect(render(rows, [id], { tree: "NAME" })).toBe("ID\n 1\n 2\n 3\n 4\n");
  });
  test("what a terminal cannot show is escaped, and wide characters are as wide as they are", () => {
    const texts = ["a\tb\x7f", "\udcff", "\\x41 \\ \\y", "日本", "é\u2028"];
    const rows = texts.map((text, i) => ({ id: i, name: text }));
    expect(render(rows, [name, id])).toBe(
      "NAME          ID\na\\x09b\\x7f     0\n\\xff           1\n\\x5cx41 \\ \\y   2\n日本           3\né\\xe2\\x80\\xa8  4\n",
    );
    expect(render([{ id: 1, name: "é" }], [name], { unicode: false })).toBe("NAME\n\\xc3\\xa9\n");
  });
  test("columns that may be cut are, in turns, down to their names", () => {
    const rows = [{ id: 1, name: "0123456789" }];
    expect(render(rows, [name, id, name], { width: 20 })).toBe("NAME     ID NAME\n01234567  1 01234567\n");
    expect(render(rows, [name, id, name], { width: 19 })).toBe("NAME    ID NAME\n0123456  1 01234567\n");
    expect(render(rows, [name, id], { width: 3 })).toBe("NAME ID\n0123  1\n");
    expect(render([{ id: 1, name: "日本語日本語" }], [name], { width: 5 })).toBe("NAME\n日本\n");
  });
  test("an empty list is nothing, or a heading where that was asked for", () => {
    expect(render([], [id])).toBe("");
    expect(render([], [id, name], { headings: "always" })).toBe("ID NAME\n");
    expect(render([{ id: 1 }], [id], { headings: "never" })).toBe(" 1\n");
  });
});

test("raw text is words", () => {
  const rows = [
    { id: 1, name: "a b\\c é", list: "" },
    { id: 2, below: 0 },
  ];
  expect(render(rows, [id, name, list], { how: "raw", tree: "NAME", unicode: false })).toBe(
    "ID NAME LIST\n1 a\\x20b\\x5cc\\x20\\xc3\\xa9 \n2 `- \n",
  );
});

describe("JSON", () => {
  test("is JSON, with numbers bare and nothing as null", () => {
    const rows = [
      { id: 1, name: 'a"\n\x01' },
      { id: 2, below: 0 },
    ];
    expect(JSON.parse(render(rows, [id, name], { how: "json", tree: "NAME" }))).toEqual({
      rows: [{ id: 1, name: 'a"\n\x01', children: [{ id: 2, name: null }] }],
    });
    expect(JSON.parse(render(rows, [id], { how: "json", tree: "NAME" }))).toEqual({
      rows: [{ id: 1 }, { id: 2 }],
    });
    expect(render([], [id], { how: "json" })).toBe('{\n   "rows": [\n\n   ]\n}\n');
  });
  test("keeps a byte that is no UTF-8 as it is", () => {
    expect(render([{ id: 1, name: 'a"\udcff' }], [name], { how: "json" })).toContain('"name": "a\\"\udcff"');
  });
});
