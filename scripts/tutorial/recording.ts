// A picture of a terminal that moves: a chapter's commands are typed, and what they print appears below. Made from the
// document alone, whose outputs are those of a real run, so that the same document makes the same picture. Pure.

import type { Chapter } from "./document.ts";

/** Pixels: the size of the letters, and what a column and a row of them take. */
const SIZE = 13;
const COLUMN = 7.83;
const ROW = 18;
const MARGIN = 16;
const BAR = 30;

/** What is seen at once. */
const COLUMNS = 104;
const ROWS = 26;

/** Seconds: to type a letter, to wait for a command, to read a line that it printed, and the whole at the end. */
const PACE = { letter: 0.035, command: 0.5, line: 0.22, end: 6 };

interface Line {
  readonly text: string;
  readonly prompt?: string;
  /** Seconds from the start: when it is there, and when it is typed to its end. */
  readonly at: number;
  readonly until: number;
}

/** A line as a terminal breaks it. */
const inRows = (line: string): readonly string[] => {
  const letters = [...line];
  const rows: string[] = [];
  do rows.push(letters.splice(0, COLUMNS).join(""));
  while (letters.length > 0);
  return rows;
};

/** The lines in order, and when they appear. */
const schedule = ({ blocks }: Chapter): { readonly lines: readonly Line[]; readonly seconds: number } => {
  const lines: Line[] = [];
  let now = 0.5;
  for (const block of blocks) {
    if (block.kind !== "commands") continue;
    for (const { prompt, typed, output } of block.commands) {
      typed.forEach((text, i) => {
        const until = now + text.length * PACE.letter;
        lines.push({ text, prompt: i === 0 ? prompt : ">", at: now, until });
        now = until;
      });
      now += PACE.command;
      const last = output.findLastIndex((line) => line !== "");
      const shown = output.slice(0, last + 1).flatMap(inRows);
      for (const text of shown) lines.push({ text, at: now, until: now });
      now += shown.length * PACE.line + PACE.command;
    }
  }
  return { lines, seconds: now + PACE.end };
};

const escape = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");

/** The picture, in SVG with CSS. Where nothing may or can move, it is the last of what is seen. */
export const recordingOf = (chapter: Chapter): string => {
  const { lines, seconds } = schedule(chapter);
  const percent = (at: number): string => `${Number(((at / seconds) * 100).toFixed(2))}%`;
  const rules: string[] = [];
  const drawn = lines.map(({ text, prompt, at, until }, i) => {
    const y = (i + 1) * ROW - 5;
    rules.push(
      `@keyframes l${i}{0%,${percent(at)}{opacity:0}${percent(at + 0.01)},100%{opacity:1}}#l${i}{animation-name:l${i}}`,
    );
    const shown = escape(text);
    if (prompt === undefined) return `<text id="l${i}" y="${y}">${shown}</text>`;
    rules.push(
      `@keyframes t${i}{0%,${percent(at)}{clip-path:inset(0 100% 0 0);animation-timing-function:steps(${text.length})}` +
        `${percent(until)},100%{clip-path:inset(0)}}#t${i}{animation-name:t${i}}`,
    );
    return (
      `<g id="l${i}"><text y="${y}" class="p">${escape(prompt)}</text>` +
      `<text id="t${i}" y="${y}" x="${2 * COLUMN}" class="c">${shown}</text></g>`
    );
  });
  // What does not fit moves up when it comes, and is back when all begins again.
  const hidden = Math.max(0, lines.length - ROWS);
  const steps = lines
    .slice(ROWS)
    .map(({ at }, i) => `${percent(at)}{transform:translateY(${-(i + 1) * ROW}px)}`);
  rules.push(
    `@keyframes up{0%{transform:none}${steps.join("")}100%{transform:translateY(${-hidden * ROW}px)}}`,
  );

  const width = Math.ceil(COLUMNS * COLUMN + 2 * MARGIN);
  const height = ROWS * ROW + BAR + MARGIN;
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>A terminal: ${escape(chapter.title)}</title>
<style>
text{font:${SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#c9d1d9;white-space:pre}
.p{fill:#7ee787}.c{fill:#fff;font-weight:600}
#all *,#all{animation:${seconds.toFixed(1)}s infinite}
#all{transform:translateY(${-hidden * ROW}px);animation-name:up;animation-timing-function:step-end}
${rules.join("\n")}
@media (prefers-reduced-motion:reduce){#all,#all *{animation:none}}
</style>
<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="8" fill="#0d1117" stroke="#444c56"/>
<circle cx="18" cy="15" r="5" fill="#ff5f57"/><circle cx="36" cy="15" r="5" fill="#febc2e"/><circle cx="54" cy="15" r="5" fill="#28c840"/>
<svg x="${MARGIN}" y="${BAR}" width="${width - 2 * MARGIN}" height="${ROWS * ROW}"><g id="all" xml:space="preserve">
${drawn.join("\n")}
</g></svg>
</svg>
`;
};
