// Lists as util-linux prints them: columns as wide as they must be, trees, cells of several lines, raw text, JSON. The
// same bytes, because scripts read them.

import { encode } from "../abi/bytes.ts";

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
  readonly headings: boolean;
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
  // Without a single line not even a heading: as if there were no list.
  if (tree.lines.length === 0) return "";
  const drawn = isTree
    ? draw(tree.roots, look.unicode)
    : tree.lines.map(({ row }) => ({ row, art: "", below: "" }));
  return look.how === "raw" ? raw(drawn, columns, look) : table(drawn, columns, look);
};

const flat = <R>(lines: readonly Line<R>[]): Line<R>[] => lines.map(({ row }) => ({ row, children: [] }));

/** A row with the branches that lead to it, and those that pass by the further lines of its cells. */
interface Drawn<R> {
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

// --- raw and JSON ----------------------------------------------------------------------------------------------

const raw = <R>(drawn: readonly Drawn<R>[], columns: readonly Column<R>[], look: Look): string => {
  const lines = look.headings ? [columns.map(({ name }) => name).join(" ")] : [];
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

const hex = (byte: number): string => `\\x${byte.toString(16).padStart(2, "0")}`;

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

// --- tables ----------------------------------------------------------------------------------------------------

/** A cell as it is shown: escaped, and how many columns of the terminal it takes. */
interface Shown {
  readonly text: string;
  readonly width: number;
}

const table = <R>(drawn: readonly Drawn<R>[], columns: readonly Column<R>[], look: Look): string => {
  const headings = columns.map(({ name }): Shown => ({ text: name, width: name.length }));
  const rows: Shown[][] = [];
  for (const { row, art, below } of drawn) {
    const cells = columns.map((it) => {
      const text = String(it.text(row) ?? "");
      return it.lines ? text.split("\n") : [text];
    });
    const height = Math.max(...cells.map(({ length }) => length));
    for (let part = 0; part < height; part++) {
      rows.push(
        columns.map((it, i) => {
          const shown = show(cells[i]![part] ?? "", look.unicode);
          const branches = it.name === look.tree ? (part === 0 ? art : below) : "";
          return branches ? { text: branches + shown.text, width: branches.length + shown.width } : shown;
        }),
      );
    }
  }
  const widths = columns.map((it, i) =>
    columnWidth(
      it,
      rows.reduce((widest, row) => Math.max(widest, row[i]!.width), 0),
    ),
  );
  if (look.width !== undefined) fit(widths, columns, look.width);
  const lines = look.headings ? [headings, ...rows] : rows;
  return lines.map((cells) => `${tableLine(cells, columns, widths)}\n`).join("");
};

const columnWidth = <R>({ name, hint = 0 }: Column<R>, widest: number): number => {
  if (widest < name.length) return name.length;
  return name.length < hint ? Math.max(widest, hint) : widest;
};

/** Takes from the columns that may be cut, in turns, until all fit, but never from a column's name. */
const fit = <R>(widths: number[], columns: readonly Column<R>[], width: number): void => {
  let excess = widths.reduce((sum, it) => sum + it, columns.length - 1) - width;
  for (let before = 0; excess > 0 && before !== excess;) {
    before = excess;
    for (let i = 0; i < widths.length && excess > 0; i++) {
      if (!columns[i]!.truncate || widths[i]! <= columns[i]!.name.length) continue;
      widths[i]!--;
      excess--;
    }
  }
};

const tableLine = <R>(
  cells: readonly Shown[],
  columns: readonly Column<R>[],
  widths: readonly number[],
): string => {
  const last = cells.length - 1;
  return cells
    .map((cell, i) => {
      const { text, width } = cell.width > widths[i]! ? cut(cell.text, widths[i]!) : cell;
      const padding = " ".repeat(widths[i]! - width);
      if (columns[i]!.right && !(i === last && text === "")) return padding + text;
      // Nothing is put behind the last one.
      return i === last ? text : text + padding;
    })
    .join(" ");
};

/** A cell's text with what a terminal cannot show as `\xNN`, and a `\x` that was there before told from it. */
const show = (text: string, unicode: boolean): Shown => {
  if (/^[ -[\]-~]*$/.test(text)) return { text, width: text.length };
  let out = "";
  let width = 0;
  const characters = [...text];
  characters.forEach((character, i) => {
    const code = character.codePointAt(0)!;
    const isPlain = code > 0x1f && code < 0x7f;
    if (isPlain ? code !== 0x5c || characters[i + 1] !== "x" : unicode && isPrintable(character)) {
      out += character;
      width += isPlain ? 1 : Bun.stringWidth(character);
    } else {
      const escaped = [...encode(character)].map(hex).join("");
      out += escaped;
      width += escaped.length;
    }
  });
  return { text: out, width };
};

/** What the C library calls printable: no control characters, nothing unassigned, no line or paragraph separators. */
const isPrintable = (character: string): boolean => !/[\p{Cc}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]/u.test(character);

/** As much of a text as fits into so many columns. */
const cut = (text: string, width: number): Shown => {
  let out = "";
  let used = 0;
  for (const character of text) {
    const columns = Bun.stringWidth(character);
    if (used + columns > width) break;
    out += character;
    used += columns;
  }
  return { text: out, width: used };
};
