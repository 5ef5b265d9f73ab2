// Lists as util-linux prints them: columns as wide as they must be, trees, cells of several lines, raw text, JSON. The
// same bytes, because scripts read them.

import { encode } from "../abi/bytes.ts";
import { hex, renderTable } from "./listing-table.ts";

/** A column of rows of type R. */
export interface Column<R> {
  readonly name: string;
  readonly description: string;
  /** Numbers stand bare in JSON. */
  readonly json: "number" | "string";
  readonly right?: boolean;
  /** A width that it has at least when something in it is wider than its name. */
  readonly hint?: number;
  /** May be cut to fit a terminal. */
  readonly truncate?: boolean;
  /** A newline begins a further line of the cell; elsewhere it is shown as what it is. */
  readonly lines?: boolean;
  /** undefined, or nothing, for an empty cell. */
  text(row: R): string | number | undefined;
}

/** A row, and where it stands in a tree. */
export interface Line<R> {
  readonly row: R;
  readonly children: Line<R>[];
}

export interface Look {
  readonly how: "table" | "raw" | "json";
  /** What the list is called in JSON. */
  readonly name: string;
  /** With lines alone (util-linux prints nothing at all of an empty list), always, or never. */
  readonly headings: "withLines" | "always" | "never";
  /** The name of the column that the tree is drawn in; without one, or where that is not shown, it is a flat list. */
  readonly tree?: string | undefined;
  /** The columns of the terminal; undefined to cut nothing. */
  readonly width?: number | undefined;
  /** Whether the terminal knows UTF-8. */
  readonly unicode: boolean;
}

/** Lines of a tree by parent and child. `lines` are all of them, in the order in which they were made. */
export interface Tree<R> {
  readonly lines: readonly Line<R>[];
  readonly roots: readonly Line<R>[];
}

/** A tree of rows, each added below the line of its parent, or at the top. */
export const plant = <R>(): Tree<R> & { add(row: R, parent?: Line<R>): Line<R> } => {
  const lines: Line<R>[] = [];
  const roots: Line<R>[] = [];
  return {
    lines,
    roots,
    add: (row, parent) => {
      const line: Line<R> = { row, children: [] };
      lines.push(line);
      (parent?.children ?? roots).push(line);
      return line;
    },
  };
};

/** The whole text of a list. */
export const renderListing = <R>(tree: Tree<R>, columns: readonly Column<R>[], look: Look): string => {
  const isTree = look.tree !== undefined && columns.some(({ name }) => name === look.tree);
  if (look.how === "json") return json(isTree ? tree.roots : flat(tree.lines), columns, look.name);
  if (tree.lines.length === 0 && look.headings !== "always") return "";
  const drawn = isTree
    ? draw(tree.roots, look.unicode)
    : tree.lines.map(({ row }) => ({ row, art: "", below: "" }));
  return look.how === "raw" ? raw(drawn, columns, look) : renderTable(drawn, columns, look);
};

const flat = <R>(lines: readonly Line<R>[]): Line<R>[] => lines.map(({ row }) => ({ row, children: [] }));

/** A row with the branches that lead to it, and those that pass by the further lines of its cells. */
export interface Drawn<R> {
  readonly row: R;
  readonly art: string;
  readonly below: string;
}

const draw = <R>(roots: readonly Line<R>[], unicode: boolean): Drawn<R>[] => {
  const [branch, last, bar] = unicode ? ["├─", "└─", "│ "] : ["|-", "`-", "| "];
  const drawn: Drawn<R>[] = [];
  const visit = (line: Line<R>, prefix: string | undefined, isLast: boolean): void => {
    const own = prefix === undefined ? "" : prefix + (isLast ? last : branch);
    const inner = prefix === undefined ? "" : prefix + (isLast ? "  " : bar);
    drawn.push({ row: line.row, art: own, below: inner + (line.children.length ? bar : "") });
    line.children.forEach((child, i) => visit(child, inner, i === line.children.length - 1));
  };
  for (const root of roots) visit(root, undefined, false);
  return drawn;
};

const raw = <R>(drawn: readonly Drawn<R>[], columns: readonly Column<R>[], look: Look): string => {
  const lines = look.headings !== "never" ? [columns.map(({ name }) => name).join(" ")] : [];
  for (const { row, art } of drawn)
    lines.push(
      columns.map((it) => escapeRaw((it.name === look.tree ? art : "") + (it.text(row) ?? ""))).join(" "),
    );
  return lines.map((line) => `${line}\n`).join("");
};

/** One word of printable ASCII without backslash; every other byte is `\xNN`. */
const escapeRaw = (text: string): string => {
  if (/^[!-[\]-~]*$/.test(text)) return text;
  let out = "";
  for (const byte of encode(text))
    out += byte > 0x20 && byte < 0x7f && byte !== 0x5c ? String.fromCharCode(byte) : hex(byte);
  return out;
};

const json = <R>(roots: readonly Line<R>[], columns: readonly Column<R>[], name: string): string => {
  const keys = columns.map(({ name }) => jsonString(name.toLowerCase()));
  const list = (lines: readonly Line<R>[], key: string, depth: number): string => {
    const indent = " ".repeat(depth);
    const objects = lines.map((line) => object(line, depth + 3)).join(",");
    return `${indent}${key}: [\n${lines.length ? `${indent}   ` : ""}${objects}\n${indent}]`;
  };
  const object = ({ row, children }: Line<R>, depth: number): string => {
    const members = columns.map(
      (it, i) => `${" ".repeat(depth + 3)}${keys[i]}: ${jsonValue(it, it.text(row))}`,
    );
    if (children.length) members.push(list(children, '"children"', depth + 3));
    return `{\n${members.join(",\n")}\n${" ".repeat(depth)}}`;
  };
  return `{\n${list(roots, jsonString(name), 3)}\n}\n`;
};

const jsonValue = <R>({ json }: Column<R>, value: string | number | undefined): string =>
  value === undefined || value === ""
    ? "null"
    : json === "number"
      ? String(value)
      : jsonString(String(value));

/** Bytes that are not UTF-8 stay what they are, where JSON.stringify would make up half a character. */
const jsonString = (text: string): string => {
  if (text.isWellFormed()) return JSON.stringify(text);
  return [...text]
    .map((it) => (it.isWellFormed() ? JSON.stringify(it).slice(1, -1) : it))
    .join("")
    .replace(/^|$/g, '"');
};
