// Filter expressions over the columns of a list: `lsns -Q 'NPROCS > 1 and USER != "root"'`. A parser that says where it
// stumbles, and an evaluator. Pure. @see scols-filter(5)

import { UsageError } from "../abi/errors.ts";

/** An operand or an operation. */
export type Expression =
  | { readonly type: "value"; readonly value: string | number | boolean }
  | { readonly type: "column"; readonly name: string }
  | { readonly type: "not"; readonly operand: Expression }
  | { readonly type: "and" | "or"; readonly left: Expression; readonly right: Expression }
  | {
      readonly type: "compare";
      readonly operator: Comparison;
      readonly left: Expression;
      readonly right: Expression;
    }
  | {
      readonly type: "match";
      readonly negated: boolean;
      readonly left: Expression;
      readonly pattern: RegExp;
    };

type Comparison = "==" | "!=" | "<" | "<=" | ">" | ">=";

/** What a row has in a column: nothing is `undefined`. */
export type Cell = string | number | undefined;

interface Token {
  readonly kind: "operator" | "value" | "column" | "end";
  readonly text: string;
  readonly value?: string | number | boolean;
  /** Where it begins, from 1. */
  readonly at: number;
}

/** Words that are operators, in capitals or small letters. */
const words: Readonly<Record<string, string>> = {
  and: "&&",
  or: "||",
  not: "!",
  eq: "==",
  ne: "!=",
  le: "<=",
  lt: "<",
  ge: ">=",
  gt: ">",
};

const comparisons: readonly string[] = ["==", "!=", "<", "<=", ">", ">="];

const wrong = (what: string, at: number, text: string): UsageError =>
  new UsageError(`filter: ${what} at character ${at} of '${text}'`);

const tokens = (text: string): Token[] => {
  const pattern =
    /\s*(?:(?<number>\d+(?:\.\d+)?)(?<unit>[KMGTPEZY](?:iB)?)?(?![\w.])|(?<string>"[^\n"]*"|'[^\n']*')|(?<word>[a-zA-Z][a-zA-Z_.%:/\-0-9]*)|(?<operator>&&|\|\||==|!=|>=|<=|=~|!~|[!<>()]))/y;
  const found: Token[] = [];
  let at = 0;
  while (text.slice(at).trim() !== "") {
    const start = at + text.slice(at).search(/\S/);
    pattern.lastIndex = at;
    const groups = pattern.exec(text)?.groups;
    if (!groups) throw wrong(unreadable(text.slice(start)), start + 1, text);
    found.push({ ...read(groups), at: start + 1 });
    at = pattern.lastIndex;
  }
  return [...found, { kind: "end", text: "the end", at: text.length + 1 }];
};

const unreadable = (rest: string): string => {
  if (rest[0] === '"' || rest[0] === "'") return `a string without its closing ${rest[0]}`;
  return /^\d/.test(rest) ? "a number that is none" : `'${[...rest][0]}', which is no part of a filter,`;
};

const read = ({ number, unit, string, word, operator }: Record<string, string | undefined>) => {
  if (number !== undefined) {
    const power = unit === undefined ? 0 : "KMGTPEZY".indexOf(unit[0]!) + 1;
    return { kind: "value", text: number, value: Number(number) * 1024 ** power } as const;
  }
  if (string !== undefined) return { kind: "value", text: string, value: string.slice(1, -1) } as const;
  if (operator !== undefined) return { kind: "operator", text: operator } as const;
  const name = word!;
  const isUniform = name === name.toLowerCase() || name === name.toUpperCase();
  const small = name.toLowerCase();
  if (isUniform && (small === "true" || small === "false"))
    return { kind: "value", text: name, value: small === "true" } as const;
  if (isUniform && Object.hasOwn(words, small)) return { kind: "operator", text: words[small]! } as const;
  return { kind: "column", text: name } as const;
};

/** No person nests deeper, and the parser's stack is not endless. */
const DEEPEST = 500;

/**
 * Parses a filter. `columns` are the names that it may use; the columns of the result have these names, however they
 * were written. From the weakest: or, and, comparisons, not. Throws {@link UsageError} that says where.
 */
export const parseFilter = (text: string, columns: readonly string[]): Expression => {
  const list = tokens(text);
  let next = 0;
  const peek = (): Token => list[next]!;
  const take = (...operators: readonly string[]): string | undefined => {
    const { kind, text: operator } = peek();
    if (kind !== "operator" || !operators.includes(operator)) return undefined;
    next++;
    return operator;
  };
  const unexpected = (): UsageError => {
    const { kind, text: what, at } = peek();
    return wrong(kind === "end" ? "something is missing" : `unexpected '${what}'`, at, text);
  };

  const either = (): Expression => {
    let left = both();
    while (take("||")) left = { type: "or", left, right: both() };
    return left;
  };
  const both = (): Expression => {
    let left = comparison();
    while (take("&&")) left = { type: "and", left, right: comparison() };
    return left;
  };
  const comparison = (): Expression => {
    let left = operand();
    for (;;) {
      const operator = take(...comparisons);
      const match = operator === undefined ? take("=~", "!~") : undefined;
      if (operator) left = { type: "compare", operator: operator as Comparison, left, right: operand() };
      else if (match) left = { type: "match", negated: match === "!~", left, pattern: pattern() };
      else return left;
    }
  };
  let depth = 0;
  const nested = (inside: () => Expression): Expression => {
    if (++depth > DEEPEST) throw wrong(`more than ${DEEPEST} levels of '(' and '!'`, peek().at, text);
    const expression = inside();
    depth--;
    return expression;
  };
  const operand = (): Expression => {
    if (take("!")) return { type: "not", operand: nested(operand) };
    if (take("(")) {
      const inner = nested(either);
      if (!take(")")) throw unexpected();
      return inner;
    }
    const token = peek();
    if (token.kind === "value") {
      next++;
      return { type: "value", value: token.value! };
    }
    if (token.kind !== "column") throw unexpected();
    const name = columns.find((column) => column === token.text.toUpperCase());
    if (name === undefined) throw wrong(`unknown column '${token.text}'`, token.at, text);
    next++;
    return { type: "column", name };
  };
  const pattern = (): RegExp => {
    const { value, at } = peek();
    if (typeof value !== "string") throw wrong("a regular expression must be a string,", at, text);
    next++;
    try {
      return new RegExp(fromPosix(value), "u");
    } catch {
      throw wrong("a regular expression that is none", at, text);
    }
  };

  const whole = either();
  if (peek().kind !== "end") throw unexpected();
  return whole;
};

/** An extended regular expression in JavaScript's words: they differ in classes within brackets. @see regex(7) */
const fromPosix = (pattern: string): string => {
  const classes: Readonly<Record<string, string>> = {
    alnum: "\\p{L}\\p{Nd}",
    alpha: "\\p{L}",
    blank: " \\t",
    cntrl: "\\p{Cc}",
    digit: "0-9",
    graph: "!-~",
    lower: "\\p{Ll}",
    print: " -~",
    punct: "!-\\/:-@\\[-`\\{-~",
    space: "\\s",
    upper: "\\p{Lu}",
    xdigit: "0-9A-Fa-f",
  };
  // Within brackets a backslash is itself, and a ] right at the beginning too.
  return pattern.replace(
    /\\.|\[(\^?)(\]?(?:\[:[a-z]+:\]|[^\]])*)\]/gs,
    (whole, caret: string | undefined, inside: string | undefined) => {
      // What is no special character needs no backslash there, and may have none here.
      if (inside === undefined) return /\\[\^$.*+?()[\]{}|\\/]/.test(whole) ? whole : whole.slice(1);
      const escaped = inside.replace(/\[:([a-z]+):\]|[\\[\]]/g, (part, name: string | undefined) =>
        name === undefined ? `\\${part}` : (classes[name] ?? part),
      );
      return `[${caret}${escaped}]`;
    },
  );
};

/** The columns that an expression looks at. */
export const columnsOf = (expression: Expression): string[] => {
  switch (expression.type) {
    case "column":
      return [expression.name];
    case "value":
      return [];
    case "not":
      return columnsOf(expression.operand);
    case "match":
      return columnsOf(expression.left);
    default:
      return [...columnsOf(expression.left), ...columnsOf(expression.right)];
  }
};

/** Whether a row passes; `cell` gives what it has in a column. */
export const passes = (expression: Expression, cell: (column: string) => Cell): boolean =>
  truth(valueOf(expression, cell));

type Value = Cell | boolean;

/** What stands alone is true when it is not empty. */
const truth = (value: Value): boolean =>
  typeof value === "boolean" ? value : value !== undefined && value !== "";

const valueOf = (expression: Expression, cell: (column: string) => Cell): Value => {
  switch (expression.type) {
    case "value":
      return expression.value;
    case "column":
      return cell(expression.name);
    case "not":
      return !passes(expression.operand, cell);
    case "and":
      return passes(expression.left, cell) && passes(expression.right, cell);
    case "or":
      return passes(expression.left, cell) || passes(expression.right, cell);
    case "match":
      return expression.pattern.test(String(valueOf(expression.left, cell) ?? "")) !== expression.negated;
    case "compare":
      return compare(expression, cell);
  }
};

/** The type of a literal decides what both sides are taken for; between two columns, numbers are compared as such. */
const compare = (
  { operator, left, right }: Extract<Expression, { type: "compare" }>,
  cell: (column: string) => Cell,
): boolean => {
  const [a, b] = [valueOf(left, cell), valueOf(right, cell)];
  const literal = left.type === "value" ? left.value : right.type === "value" ? right.value : undefined;
  if (typeof literal === "boolean" || typeof a === "boolean" || typeof b === "boolean")
    return holds(operator, Number(truth(a)), Number(truth(b)));
  // What is not there is smaller and larger than nothing, and equal only to an empty string.
  if (a === undefined || b === undefined) {
    const isEqual = (a ?? "") === (b ?? "");
    return operator === "!="
      ? !isEqual
      : (operator === "==" || operator === "<=" || operator === ">=") && isEqual;
  }
  const numeric =
    typeof literal === "number" || (literal === undefined && typeof a === "number" && typeof b === "number");
  return numeric ? holds(operator, toNumber(a), toNumber(b)) : holds(operator, String(a), String(b));
};

const toNumber = (value: string | number): number =>
  typeof value === "number" ? value : value === "" ? Number.NaN : Number(value);

const holds = <T extends string | number>(operator: Comparison, a: T, b: T): boolean => {
  switch (operator) {
    case "==":
      return a === b;
    case "!=":
      return a !== b;
    case "<":
      return a < b;
    case "<=":
      return a <= b;
    case ">":
      return a > b;
    case ">=":
      return a >= b;
  }
};
