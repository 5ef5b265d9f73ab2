// Where a program may be: the names that execvp(3) would try, in its order. Pure; whether they are there is found out
// by trying them.

/** What execvp(3) searches when PATH is not in the environment (confstr(3), _CS_PATH). */
const DEFAULT_PATH = "/bin:/usr/bin";

/**
 * The files to try for `program`. A name with a slash is itself. An empty entry of PATH, also one made by a colon at
 * its beginning or end, is the current directory.
 *
 * @example
 * ```ts
 * import { programCandidates } from "nsk";
 *
 * console.log(programCandidates("ls", "/usr/bin:/bin").join(" ")); // → /usr/bin/ls /bin/ls
 * ```
 * @see execvp(3)
 */
export const programCandidates = (program: string, PATH: string | undefined): string[] => {
  if (program === "" || program.includes("/")) return [program];
  // Array.map is compiled when a process first calls it, which a start of nsk would wait for.
  const candidates: string[] = [];
  for (const directory of (PATH ?? DEFAULT_PATH).split(":"))
    candidates.push(directory === "" ? `./${program}` : `${directory}/${program}`);
  return candidates;
};
