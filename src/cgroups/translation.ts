// Settings in the words of the other version of control groups, without a group to write them to. Pure.

import { HostError } from "../abi/errors.ts";
import { inTranslationOrder } from "./order.ts";
import {
  controllerOf,
  type Files,
  isOnlyOf,
  periodOf,
  type Setting,
  settings,
  translate,
} from "./settings.ts";
import { STATUS } from "./status.ts";
import { inKernelUnits, type Whole } from "./units.ts";
import { nearestOn } from "./unmappable.ts";

/** One setting, and what it is on the other version. */
export interface Translation {
  readonly from: Setting;
  readonly version: 1 | 2;
  readonly to: readonly Setting[];
}

/**
 * Translates settings as if they were written, one after the other, to a new group: a later one sees an earlier one.
 * `version` is that of the names, which tell by themselves as a rule. Throws {@link HostError} for what the other version
 * does not have, and names what comes nearest.
 */
export const translateAlone = (
  wanted: readonly Setting[],
  version: 1 | 2 | undefined,
  memory: Whole["memory"],
): Translation[] => {
  const written = new Map<string, string>();
  const files: Files = {
    read: (name) => written.get(name),
    // The weights of the scheduler BFQ stand beside the usual ones under their own names.
    has: (name) => !name.includes(".bfq."),
  };
  const whole: Whole = { memory, period: () => periodOf(files) };
  return inTranslationOrder(wanted).map(({ name, value }) => {
    const from = { name, value: inKernelUnits(name, value, whole) };
    const own = version ?? (isOnlyOf(2, name) || nearestOn(1, name) !== undefined ? 2 : 1);
    const to = across(from, own, files);
    for (const it of [from, ...to]) written.set(it.name, it.value);
    return { from, version: own, to };
  });
};

const across = (setting: Setting, own: 1 | 2, files: Files): readonly Setting[] => {
  const other = own === 1 ? 2 : 1;
  const { name, value } = setting;
  const found = isOnlyOf(other, name) ? undefined : translate(name, value, other, files);
  if (found?.length) return found;
  if (found)
    throw new HostError(
      `${name}=${value} cannot be said on cgroup v${other}`,
      name.includes("memsw") || name.includes("swap")
        ? "it is memory and swap together: give the limit on memory too, and not above it"
        : `the value is not one of ${name}`,
      STATUS.other,
    );
  const nearest = nearestOn(other, name);
  if (nearest !== undefined)
    throw new HostError(`cgroup v${other} has no ${name}`, `nearest to it is ${nearest}`, STATUS.noSetting);
  if (isOnlyOf(other, name))
    throw new HostError(`${name} is no setting of cgroup v${own}`, undefined, STATUS.noSetting);
  if (isReadOnly(name, own))
    throw new HostError(`${name} can only be read`, `nsk cgget -r ${name} GROUP`, STATUS.noSetting);
  if (!common.test(name))
    throw new HostError(
      `no setting ${name} is known`,
      controllerOf(name) === undefined ? "a setting is CONTROLLER.NAME, e.g. cpu.shares" : undefined,
      STATUS.noSetting,
    );
  return [setting];
};

const isReadOnly = (name: string, version: 1 | 2): boolean =>
  settings.some((row) => (version === 1 ? row.v1 : row.v2) === name);

/** What has the same name and meaning in both. */
const common = /^(?:cpuset\.(?:cpus|mems)|pids\.max|cpu\.idle|rdma\.max|misc\.max)$/;

/** The names of both versions side by side, for what can be written and for what can only be read. */
export const settingNames = (): { v1: string; v2: string; readOnly: boolean }[] =>
  settings.map(({ v1, v2, to2 }) => ({ v1, v2, readOnly: to2 === undefined }));
