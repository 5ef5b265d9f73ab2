// A hold on a process of a record, by which its number cannot become another's unseen.

import { errno } from "../abi/errno.ts";
import type { Slot } from "../plan/call.ts";
import { openProcess } from "../plan/namespace-steps.ts";
import type { Step } from "../plan/plan.ts";
import { type About, identify } from "../plan/steps.ts";
import type { FirstProcess } from "./recognise.ts";

const GONE = "the container has ended";

/** Its pidfd into `result`; fails when it has ended. */
export const hold = ({ pid, started }: FirstProcess, result: Slot, about: About): Step[] => [
  openProcess(pid, result, { hints: { [errno("ESRCH")]: GONE }, ...about }),
  ...identify(pid, started, GONE),
];
