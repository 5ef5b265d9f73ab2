// docker's options of `run` that nsk has not, and why: loaded when somebody uses one. What is listed here is refused by
// name, and no mistyped option of nsk's is looked for.

const NETWORK =
  "a container has loopback, the host's network or another container's, and no network of nsk's";
const DEVICES = "limits by device are not there; --blkio-weight is";
const HEALTH = "there are no health checks";
const WINDOWS = "an option of docker's for Windows";
const KERNEL = "newer kernels have no such limit";
const LOGS = "what is printed goes to the caller, or with -d to where nsk logs reads it";

const reasons: Readonly<Record<string, string>> = {
  "--annotation": "annotations are for bundles (nsk oci); --label is for words about a container",
  "--attach": "the standard files are the caller's; without them it is -d, and then nsk attach",
  "-a": "--attach: the standard files are the caller's; without them it is -d, and then nsk attach",
  "--blkio-weight-device": DEVICES,
  "--cgroup-parent": "a container's groups are beside others, below the root or what its user has been given",
  "--cgroupns": "a container has a control group namespace of its own",
  "--cpu-count": WINDOWS,
  "--cpu-percent": WINDOWS,
  "--cpu-rt-period": "there are no limits on real-time scheduling",
  "--cpu-rt-runtime": "there are no limits on real-time scheduling",
  "--device-cgroup-rule": "rules on devices come from --device",
  "--device-read-bps": DEVICES,
  "--device-read-iops": DEVICES,
  "--device-write-bps": DEVICES,
  "--device-write-iops": DEVICES,
  "--disable-content-trust": "signatures are not looked at; name the image by its digest",
  "--domainname": "the NIS domain stays the host's",
  "--expose": NETWORK,
  "--gpus": "no drivers are brought in; --device and -v give what they need",
  "--health-interval": HEALTH,
  "--health-retries": HEALTH,
  "--health-start-interval": HEALTH,
  "--health-start-period": HEALTH,
  "--health-timeout": HEALTH,
  "--io-maxbandwidth": WINDOWS,
  "--io-maxiops": WINDOWS,
  "--ip6": NETWORK,
  "--isolation": WINDOWS,
  "--kernel-memory": KERNEL,
  "--label-file": "give each with --label",
  "--link": NETWORK,
  "--link-local-ip": NETWORK,
  "--log-driver": LOGS,
  "--log-opt": LOGS,
  "--mac-address": NETWORK,
  "--memory-reservation": "only the limit itself is there (--memory)",
  "--memory-swappiness": KERNEL,
  "--net-alias": NETWORK,
  "--network-alias": NETWORK,
  "--no-healthcheck": `${HEALTH}, so there is nothing to be turned off`,
  "--oom-kill-disable": KERNEL,
  "--quiet": "nothing is said in a pipe; nsk pull -q pulls without a word",
  "-q": "--quiet: nothing is said in a pipe; nsk pull -q pulls without a word",
  "--runtime": "nsk is the runtime",
  "--sig-proxy": "signals are passed on; nsk attach leaves a container by keys",
  "--storage-opt": "what is written is held in memory",
  "--use-api-socket": "there is no daemon",
  "--volume-driver": "there are no named volumes",
  "--volumes-from": "volumes are not looked up at other containers: name them with -v",
};

/** Why nsk has not what is written so, undefined for what docker has not either. */
export const whyNot = (option: string): string | undefined =>
  Object.hasOwn(reasons, option) ? `${option.length > 2 ? `${option}: ` : ""}${reasons[option]}` : undefined;
