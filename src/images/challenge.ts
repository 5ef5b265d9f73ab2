// What a registry that answers 401 wants: the WWW-Authenticate header. Pure.
// @see https://distribution.github.io/distribution/spec/auth/token/, RFC 9110 section 11.6.1

export interface Challenge {
  /** `bearer` or `basic`, others as they are. */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

/** All challenges of a header, in its order. */
export const parseChallenges = (header: string): Challenge[] => {
  const found: { scheme: string; parameters: Record<string, string> }[] = [];
  // A word is a scheme unless an equals sign is behind it: `Bearer realm="…",scope="…", Basic realm="…"`.
  const token = /\s*,?\s*([A-Za-z0-9!#$%&'*+.^_`|~-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+)))?/y;
  for (let match = token.exec(header); match; match = token.exec(header)) {
    const [, word, quoted, plain] = match;
    const value = quoted?.replace(/\\(.)/g, "$1") ?? plain;
    if (value === undefined) found.push({ scheme: word!.toLowerCase(), parameters: {} });
    else if (found.length) found.at(-1)!.parameters[word!.toLowerCase()] = value;
  }
  return found;
};
