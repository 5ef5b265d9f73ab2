// The commands of docs/tutorial.md and README.md, typed on a fresh machine, and what cannot be read off the documents:
// how much processor time groups and containers really use.

import { expect } from "bun:test";
import { type Block, blocksFor, differences, type Version } from "../../scripts/tutorial/document.ts";
import { chapters, filesFor, linesFor } from "../../scripts/tutorial/guest.ts";
import type { Ran } from "../../scripts/vm/guest.ts";
import { type GuestTest, printed } from "./in-guest.ts";

/** What a guest needs for the documents. */
export const DOCUMENT_FILES = filesFor(chapters());

const isTyped = ({ kind }: Block): boolean => kind === "commands";

/** The documents in a guest, chapter by chapter. */
export const tutorial = (it: GuestTest, version: Version): void => {
  for (const chapter of chapters()) {
    const blocks = blocksFor(chapter, version);
    if (!blocks.some(isTyped)) continue;
    it(
      `${chapter.document}: ${chapter.title || "the first chapter"}`,
      linesFor(chapter, version),
      ({ status, stdout, stderr }) => {
        expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
        const told = differences(blocks, JSON.parse(stdout));
        // What the document shows beside what was printed; `bun run tutorial` writes it.
        expect(told.map(({ command, printed }) => [command.typed, printed])).toEqual(
          told.map(({ command }) => [command.typed, command.output]),
        );
        expect(told).toEqual([]);
      },
      { limit: 150 },
    );
  }
};

/** The limits on processor time in a guest, measured. `version` is that of the controller. */
export const measured = (it: GuestTest, version: Version): void => {
  for (const { title, typed, seen } of MEASURED) it(title, TOOLS + typed, (ran) => seen(ran, version));
};

/**
 * Shell functions for what watches something run. `in_use GROUP`: its processor time in microseconds and the clock in
 * 10 ms, read from the files themselves, for nsk would take its share of what is measured. `held GROUP LIMIT`: what it
 * uses of a thousandth of a processor, until that is near to the limit, for a busy machine may leave it less.
 */
const TOOLS = `
until_true() { n=0; until "$@"; do n=$((n + 1)); [ $n -lt 600 ]; sleep 0.1; done; }
in_use() {
  if [ -e /sys/fs/cgroup/cpuacct ]; then used=$(($(cat /sys/fs/cgroup/cpuacct/$1/cpuacct.usage) / 1000))
  else read name used </sys/fs/cgroup/$1/cpu.stat; fi
  read clock rest </proc/uptime
  echo $used \${clock/./}
}
throttled() { nsk cgget -nv -r cpu.stat "$1" | grep -o 'nr_throttled [0-9]*'; }
held() {
  for window in 1 2 3 4 5 6 7 8 9 10; do
    set -- $1 $2 $(in_use $1); sleep 3; set -- $1 $2 $3 $4 $(in_use $1)
    share=$((($5 - $3) / (($6 - $4) * 10)))
    echo $share
    [ $share -lt $(($2 * 8 / 10)) ] || break
  done
  throttled $1
}
`;

/** The lines of `held` for a load that wants more than it may have: `limit` is in thousandths of a processor. */
const heldTo =
  (limit: number) =>
  ({ status, stdout, stderr }: Ran): void => {
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    const lines = stdout.trim().split("\n");
    const stops = Number(lines.pop()!.split(" ")[1]);
    const shares = lines.map(Number);
    expect(Math.max(...shares)).toBeLessThan(limit * 1.2);
    expect(shares.at(-1)).toBeGreaterThanOrEqual(limit * 0.8);
    expect(stops).toBeGreaterThan(0);
  };

/** The ids of the containers that run, from their records, which are beside two directories. */
const CONTAINER = "ls /run/nsk | grep -v -e root -e names";

interface Measured {
  readonly title: string;
  readonly typed: string;
  readonly seen: (ran: Ran, version: Version) => void;
}

const MEASURED: readonly Measured[] = [
  {
    title: "stress-ng in a group is never stopped without a limit",
    typed: `
      nsk cgcreate -g cpu:/cpulimited
      nsk cgset -r cpu.cfs_quota_us=-1 cpulimited 2>/dev/null
      nsk cgexec -g cpu:cpulimited stress-ng --quiet --matrix 0 -t 1
      throttled cpulimited`,
    seen: printed("nr_throttled 0\n"),
  },
  {
    title: "stress-ng in a group is held to half a processor",
    typed: `
      nsk cgset -r cpu.cfs_quota_us=50000 cpulimited 2>/dev/null
      nsk cgexec -g cpu:cpulimited stress-ng --quiet --matrix 2 -t 60 2>/dev/null &
      sleep 1; held cpulimited 500`,
    seen: heldTo(500),
  },
  {
    title: "cgdelete cpu,cpuacct:/cpulimited, as on version 1, is understood on both",
    typed: "nsk cgdelete cpu,cpuacct:/cpulimited; find /sys/fs/cgroup -name cpulimited",
    seen: printed(""),
  },
  {
    title: "run --cpu-shares 768 gets more than run --cpu-shares 256, by their weights",
    typed: `
      nsk run --rm --cpuset-cpus 0 --cpu-shares 256 -- stress-ng --quiet --matrix 1 -t 60 2>/dev/null &
      until_true sh -c '${CONTAINER} | grep -q .'
      less=nsk-$(${CONTAINER})
      nsk run --rm --cpuset-cpus 0 --cpu-shares=768 -- stress-ng --quiet --matrix 1 -t 60 2>/dev/null &
      until_true sh -c '[ $(${CONTAINER} | wc -l) = 2 ]'
      more=nsk-$(${CONTAINER} | grep -v \${less#nsk-})
      sleep 2; in_use $less; in_use $more; sleep 5; in_use $less; in_use $more
      killall stress-ng; wait`,
    seen: ({ status, stdout }, version) => {
      expect(status).toBe(0);
      const used = stdout
        .trim()
        .split("\n")
        .map((line) => Number(line.split(" ")[0]));
      const [less0, more0, less1, more1] = used as [number, number, number, number];
      // Shares are weights of 35 and 80 on version 2: runc's formula keeps 1024 at 100, and no ratio.
      const expected = version === "v2" ? 80 / 35 : 3;
      const ratio = (more1 - more0) / (less1 - less0);
      expect(ratio).toBeGreaterThan(expected * 0.75);
      expect(ratio).toBeLessThan(expected * 1.25);
    },
  },
  {
    title: "run --cpus 0.25 stress-ng is held to a quarter of a processor",
    typed: `
      nsk run --cpus="0.25" -- stress-ng --quiet --matrix 2 -t 60 2>/dev/null &
      until_true sh -c '${CONTAINER} | grep -q .'
      group=nsk-$(${CONTAINER})
      sleep 2; held $group 250
      killall stress-ng; wait`,
    seen: heldTo(250),
  },
];
