// scols-filter(5), by its own words: what an expression may be, and what it is true of.

import { describe, expect, test } from "bun:test";
import { type Cell, columnsOf, parseFilter, passes } from "../../src/namespaces/filter.ts";

const row: Readonly<Record<string, Cell>> = {
  NS: 4026531840,
  TYPE: "net",
  NPROCS: 12,
  PID: 1,
  COMMAND: "sleep 1.5 x",
  USER: "root",
  SIZE: "2048",
  NSFS: "",
  PPID: undefined,
};
const columns = Object.keys(row);
const isTrue = (text: string): boolean => passes(parseFilter(text, columns), (name) => row[name]);

describe("what is true of a row, and what is not", () => {
  const rows: readonly (readonly [string, boolean])[] = [
    // comparisons, by signs and by words
    ["NPROCS == 12", true],
    ["NPROCS eq 12", true],
    ["NPROCS EQ 13", false],
    ["NPROCS != 12", false],
    ["NPROCS NE 13", true],
    ["NPROCS > 11", true],
    ["NPROCS gt 12", false],
    ["NPROCS >= 12", true],
    ["NPROCS GE 13", false],
    ["NPROCS < 13", true],
    ["NPROCS lt 12", false],
    ["NPROCS <= 12", true],
    ["NPROCS LE 11", false],
    ["1 < NPROCS", true],
    ["NPROCS > PID", true],
    ['USER == "root"', true],
    ["USER == 'root'", true],
    ["USER != 'root'", false],
    ["'a' < 'b'", true],
    // numbers: suffixes, fractions; the literal's type decides
    ["SIZE == 2K", true],
    ["SIZE == 2KiB", true],
    ["SIZE < 1M", true],
    ["SIZE == '2K'", false],
    ["NPROCS > 11.5", true],
    ["NPROCS < 9", false],
    ["NPROCS < '9'", true],
    ["NS == 4026531840", true],
    ["USER == 0", false],
    ["USER != 0", true],
    // and, or, not, and which comes first
    ["NPROCS > 1 && USER == 'root'", true],
    ["NPROCS > 1 and USER == 'nobody'", false],
    ["NPROCS > 99 || USER == 'root'", true],
    ["NPROCS > 99 OR USER == 'nobody'", false],
    ["true or false and false", true],
    ["(true or false) and false", false],
    ["!(NPROCS == 12)", false],
    ["not NPROCS == 12", false],
    ["NOT NSFS", true],
    ["!!true", true],
    ["!false AND TRUE", true],
    // something alone is true when it is not empty
    ["USER", true],
    ["NSFS", false],
    ["PPID", false],
    ["''", false],
    ["'x'", true],
    ["FALSE", false],
    // what is not there
    ["PPID == ''", true],
    ["PPID == 0", false],
    ["PPID != 0", true],
    ["PPID > 0", false],
    ["PPID < 5", false],
    // regular expressions
    ["COMMAND =~ '^sleep'", true],
    ["COMMAND !~ '^sleep'", false],
    ["COMMAND =~ 'sl(e+)p [[:digit:]]+\\.5'", true],
    ["COMMAND =~ '[[:upper:]]'", false],
    ["COMMAND =~ '[]x]$'", true],
    ["TYPE =~ '^(net|uts)$' and NPROCS > 1", true],
    ["PPID =~ '^$'", true],
    // names of columns in any letters, and blanks anywhere or nowhere
    ["nprocs==12&&user=='root'", true],
    ["  NPROCS  >\t1 ", true],
    ["(((PID)))", true],
  ];
  for (const [text, expected] of rows)
    test(`${text} is ${expected}`, () => expect(isTrue(text)).toBe(expected));
});

describe("a mistake is named with its place", () => {
  const rows: readonly (readonly [string, string])[] = [
    ["", "something is missing at character 1 of ''"],
    ["NPROCS >", "something is missing at character 9 of 'NPROCS >'"],
    ["NPROCS > 1 &&", "something is missing at character 14 of 'NPROCS > 1 &&'"],
    ["(NPROCS > 1", "something is missing at character 12 of '(NPROCS > 1'"],
    ["NPROCS > 1)", "unexpected ')' at character 11 of 'NPROCS > 1)'"],
    ["NPROCS 1", "unexpected '1' at character 8 of 'NPROCS 1'"],
    ["== 1", "unexpected '==' at character 1 of '== 1'"],
    ["NPROCS = 1", "'=', which is no part of a filter, at character 8 of 'NPROCS = 1'"],
    ["!".repeat(501), `more than 500 levels of '(' and '!' at character 502 of '${"!".repeat(501)}'`],
    ["FOO == 1", "unknown column 'FOO' at character 1 of 'FOO == 1'"],
    ["PID == 1 or And == 2", "unknown column 'And' at character 13 of 'PID == 1 or And == 2'"],
    ["USER == 'root", "a string without its closing ' at character 9 of 'USER == 'root'"],
    ["PID == 1x", "a number that is none at character 8 of 'PID == 1x'"],
    ["PID == -1", "'-', which is no part of a filter, at character 8 of 'PID == -1'"],
    ["USER =~ root", "a regular expression must be a string, at character 9 of 'USER =~ root'"],
    ["USER =~ '('", "a regular expression that is none at character 9 of 'USER =~ '(''"],
  ];
  for (const [text, message] of rows)
    test(text, () => expect(() => parseFilter(text, columns)).toThrow(`filter: ${message}`));
});

test("it says which columns it looks at", () => {
  expect(columnsOf(parseFilter("(pid > 1 or !USER) and COMMAND =~ 'x'", columns))).toEqual([
    "PID",
    "USER",
    "COMMAND",
  ]);
});
