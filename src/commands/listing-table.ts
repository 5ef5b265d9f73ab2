// A list as a table for people: columns as wide as they must be or as the terminal allows, cells of several lines.

import { encode } from "../abi/bytes.ts";
import type { Column, Drawn, Look } from "./listing.ts";

/** A cell as it is shown: escaped, and how many columns of the terminal it takes. */
interface Shown {
  readonly text: string;
  readonly width: number;
}

/** Lines of a table, each with its newline. */
export const renderTable = <R>(
  drawn: readonly Drawn<R>[],
  columns: readonly Column<R>[],
  look: Look,
): string => {
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
  const lines = look.headings !== "never" ? [headings, ...rows] : rows;
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

/** `\x0a`: how a byte is shown that cannot be. */
export const hex = (byte: number): string => `\\x${byte.toString(16).padStart(2, "0")}`;
