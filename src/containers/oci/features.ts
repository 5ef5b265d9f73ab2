// What `features` says of this runtime. @see https://github.com/opencontainers/runtime-spec/blob/main/features.md

import { CAP } from "../../abi/flags.ts";
import type { Host } from "../../host/host.ts";
import { MOUNT_OPTIONS } from "../mount-options.ts";
import { SECCOMP_ACTIONS } from "../seccomp/compile.ts";
import { ARCHITECTURES } from "../seccomp/docker.ts";
import { SECCOMP_OPERATORS } from "../seccomp/profile.ts";
import { OCI_VERSION } from "./state.ts";

export const featuresOf = (host: Host): object => ({
  ociVersionMin: "1.0.0",
  ociVersionMax: OCI_VERSION,
  hooks: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
  mountOptions: MOUNT_OPTIONS.toSorted(),
  linux: {
    namespaces: ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"],
    capabilities: Object.keys(CAP),
    cgroup: { v1: true, v2: true, systemd: false, systemdUser: false, rdma: true },
    seccomp: {
      enabled: true,
      actions: SECCOMP_ACTIONS,
      operators: SECCOMP_OPERATORS,
      archs: ARCHITECTURES[host.arch],
      knownFlags: [],
      supportedFlags: [],
    },
    apparmor: { enabled: true },
    selinux: { enabled: true },
    intelRdt: { enabled: false },
    mountExtensions: { idmap: { enabled: true } },
  },
});
