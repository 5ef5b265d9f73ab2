// cgconfig.conf: the language in which groups, their settings and who owns them are written down. Text in, values out;
// what they mean for a host is configure.ts's to say. Pure. @see cgconfig.conf(5)

import { HostError } from "../abi/errors.ts";
import type { Setting } from "./settings.ts";
import { STATUS } from "./status.ts";

/** Who owns a group, by names or numbers as written, and modes. */
export interface Permissions {
  readonly task: PermissionPart;
  readonly admin: PermissionPart;
}

export interface PermissionPart {
  readonly uid?: string;
  readonly gid?: string;
  /** Octal. */
  readonly fperm?: string;
  readonly dperm?: string;
}

/** One `group` or `template` section. */
export interface ConfiguredGroup {
  /** As written; `.` is the root. */
  readonly name: string;
  readonly permissions: Permissions | undefined;
  readonly controllers: readonly { readonly name: string; readonly settings: readonly Setting[] }[];
}

/** One line of a `mount` section: `cpu`, `name=x`, or a controller with mount options behind commas. */
export interface ConfiguredMount {
  readonly words: readonly string[];
  readonly path: string;
}

export interface Config {
  readonly mounts: readonly ConfiguredMount[];
  readonly groups: readonly ConfiguredGroup[];
  readonly templates: readonly ConfiguredGroup[];
  /** For groups without permissions of their own. */
  readonly defaults: Permissions | undefined;
}

interface Token {
  readonly text: string;
  readonly line: number;
  /** It was in quotes, and is no punctuation then. */
  readonly quoted: boolean;
}

const tokenize = (text: string): Token[] => {
  const tokens: Token[] = [];
  let line = 1;
  // Blanks, a comment to the end of its line, a string (which may hold newlines), punctuation, a word.
  const pattern = /(\s+)|(#.*)|"([^"]*)"|([{}=;])|([^\s#"{}=;]+)|(")/gy;
  for (const match of text.matchAll(pattern)) {
    const [all, blank, comment, string, mark, word, stray] = match;
    if (stray !== undefined) tokens.push({ text: stray, line, quoted: false });
    else if (blank === undefined && comment === undefined)
      tokens.push({ text: string ?? mark ?? word!, line, quoted: string !== undefined });
    line += all.split("\n").length - 1;
  }
  return tokens;
};

/** Reads a file; `file` is for messages. Throws {@link HostError} that names file and line. */
export const parseConfig = (text: string, file: string): Config => {
  const tokens = tokenize(text);
  let at = 0;

  const fail = (expected: string): never => {
    const token = tokens[at];
    const [line, found] = token ? [token.line, `'${token.text}'`] : [tokens.at(-1)?.line ?? 1, "the end"];
    throw new HostError(
      `${file}:${line}: ${found} where ${expected} should be`,
      "cgconfig.conf(5) shows the form: group NAME { CONTROLLER { SETTING = VALUE; } }",
      STATUS.badConfig,
    );
  };
  const isMark = (mark: string): boolean => tokens[at]?.text === mark && !tokens[at]!.quoted;
  const eat = (mark: string): void => {
    if (!isMark(mark)) fail(`'${mark}'`);
    at++;
  };
  const word = (what: string): string => {
    const token = tokens[at];
    if (!token || (!token.quoted && /^[{}=;"]$/.test(token.text))) return fail(what);
    at++;
    return token.text;
  };
  /** `{ … }`, `each` for what is inside, until the brace that closes it. */
  const block = (each: () => void): void => {
    eat("{");
    while (!isMark("}")) each();
    eat("}");
  };
  const assignment = (what: string): Setting => {
    const name = word(what);
    eat("=");
    const value = word("a value");
    eat(";");
    return { name, value };
  };

  const permissions = (): Permissions => {
    const parts: { task: PermissionPart; admin: PermissionPart } = { task: {}, admin: {} };
    block(() => {
      const which = word("'task' or 'admin'");
      if (which !== "task" && which !== "admin") {
        at--;
        fail("'task' or 'admin'");
      }
      const part: Record<string, string> = {};
      block(() => {
        const start = at;
        const { name, value } = assignment("uid, gid, fperm or dperm");
        if (!["uid", "gid", "fperm", ...(which === "admin" ? ["dperm"] : [])].includes(name)) {
          at = start;
          fail("uid, gid, fperm or dperm");
        }
        part[name] = value;
      });
      parts[which as "task" | "admin"] = part;
    });
    return parts;
  };

  const group = (): ConfiguredGroup => {
    const name = word("the name of a group");
    let own: Permissions | undefined;
    const controllers: { name: string; settings: Setting[] }[] = [];
    block(() => {
      const what = word("a controller");
      if (what === "perm") {
        own = permissions();
        return;
      }
      const settings: Setting[] = [];
      block(() => settings.push(assignment("a setting")));
      controllers.push({ name: what, settings });
    });
    if (controllers.length === 0) {
      at--;
      fail(`a controller of the group ${name}`);
    }
    return { name, permissions: own, controllers };
  };

  const mounts: ConfiguredMount[] = [];
  const groups: ConfiguredGroup[] = [];
  const templates: ConfiguredGroup[] = [];
  let defaults: Permissions | undefined;
  const sections: Readonly<Record<string, () => void>> = {
    mount: () =>
      block(() => {
        const { name, value } = assignment("a controller");
        mounts.push({ words: name.split(","), path: value });
      }),
    group: () => groups.push(group()),
    template: () => templates.push(group()),
    default: () =>
      block(() => {
        if (word("'perm'") !== "perm") {
          at--;
          fail("'perm'");
        }
        defaults = permissions();
      }),
  };
  while (at < tokens.length) {
    const section = word("a section");
    if (!Object.hasOwn(sections, section)) {
      at--;
      fail("one of the sections mount, group, template, default");
    }
    sections[section]!();
  }
  return { mounts, groups, templates, defaults };
};
