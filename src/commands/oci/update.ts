// nsk oci update: new limits for a container that is there.

import { decode } from "../../abi/bytes.ts";
import { HostError, UsageError } from "../../abi/errors.ts";
import { perform } from "../../backends/perform.ts";
import { needState, statusOf } from "../../backends/oci/store.ts";
import { planBundleUpdate } from "../../cgroups/bundle.ts";
import type { Resources } from "../../cgroups/resources.ts";
import { parseJson } from "../../containers/json.ts";
import { readResources } from "../../containers/parse-config.ts";
import type { Host } from "../../host/host.ts";
import { readAll } from "../../sys/linux.ts";
import { command, type OptionTable, type Values } from "../command.ts";
import { idFrom, logged } from "./global.ts";

const updateOptions = {
  resources: {
    type: "string",
    alias: "r",
    valueHint: "file",
    description: "limits as linux.resources of config.json (- for standard input)",
  },
  blkioWeight: { type: "string", valueHint: "10..1000", description: "disk weight against others" },
  cpuPeriod: { type: "string", valueHint: "microseconds", description: "the length of a period" },
  cpuQuota: { type: "string", valueHint: "microseconds", description: "how long it may run in each period" },
  cpuBurst: { type: "string", valueHint: "microseconds", description: "how much of that may be saved up" },
  cpuShare: { type: "string", valueHint: "number", description: "CPU weight against others" },
  cpuRtPeriod: { type: "string", valueHint: "microseconds", description: "the same for real time" },
  cpuRtRuntime: { type: "string", valueHint: "microseconds", description: "how long in each" },
  cpuIdle: { type: "string", valueHint: "0|1", description: "only when nothing else wants the CPU" },
  cpusetCpus: { type: "string", valueHint: "list", description: "the CPUs it may run on" },
  cpusetMems: { type: "string", valueHint: "list", description: "the memory nodes it may use" },
  memory: { type: "string", valueHint: "bytes", description: "memory limit" },
  memoryReservation: { type: "string", valueHint: "bytes", description: "memory that it keeps" },
  memorySwap: { type: "string", valueHint: "bytes", description: "memory and swap together" },
  pidsLimit: { type: "string", valueHint: "number", description: "how many processes and threads" },
} as const satisfies OptionTable;

export const update = command({
  definition: {
    meta: { name: "oci update", description: "Change the limits of a container." },
    args: updateOptions,
  },
  usage: "[options] <container-id>",
  permute: true,
  failure: 1,
  run: logged(({ options, operands, host, name, root }) => {
    const state = needState(root, idFrom(operands), host);
    if (statusOf(root, state, host) === "stopped") throw new HostError("container not running");
    const resources = resourcesFrom(options, host);
    perform({ name, failure: 1, steps: planBundleUpdate(host, state.groups, resources) });
    return 0;
  }),
});

const resourcesFrom = (options: Values<typeof updateOptions>, host: Host): Resources => {
  if (options.resources !== undefined) {
    const text = options.resources === "-" ? standardInput() : host.read(options.resources);
    if (text === undefined)
      throw new HostError(`--resources ${options.resources}: it is not there or cannot be read`);
    const resources = readResources(parseJson(text, options.resources));
    if (resources.devices?.length)
      throw new UsageError("--resources: which devices it may open stays as it was made");
    return resources;
  }
  const number = (option: string, text: string | undefined): number | undefined => {
    if (text === undefined) return undefined;
    if (!/^-?\d{1,15}$/.test(text))
      throw new UsageError(`invalid argument '${text}' for ${option}: a number`);
    return Number(text);
  };
  return {
    blockIO: { weight: number("--blkio-weight", options.blkioWeight) },
    cpu: {
      period: number("--cpu-period", options.cpuPeriod),
      quota: number("--cpu-quota", options.cpuQuota),
      burst: number("--cpu-burst", options.cpuBurst),
      shares: number("--cpu-share", options.cpuShare),
      realtimePeriod: number("--cpu-rt-period", options.cpuRtPeriod),
      realtimeRuntime: number("--cpu-rt-runtime", options.cpuRtRuntime),
      idle: number("--cpu-idle", options.cpuIdle),
      cpus: options.cpusetCpus,
      mems: options.cpusetMems,
    },
    memory: {
      limit: number("--memory", options.memory),
      reservation: number("--memory-reservation", options.memoryReservation),
      swap: number("--memory-swap", options.memorySwap),
    },
    pids: { limit: number("--pids-limit", options.pidsLimit) },
  };
};

const standardInput = (): string => {
  const bytes = readAll(0);
  return typeof bytes === "number" ? "" : decode(bytes);
};
