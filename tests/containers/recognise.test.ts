// Containers told by the names of their control groups.

import { describe, expect, test } from "bun:test";
import { containerOf, parseRecord } from "../../src/containers/recognise.ts";

const id = "0123456789abcdef".repeat(4);

describe("the engine and the id, from a path", () => {
  const rows: readonly (readonly [path: string, engine: string | undefined, found?: string])[] = [
    ["/nsk-0123456789ab", "nsk", "0123456789ab"],
    ["/user.slice/nsk-0123456789ab/sub", "nsk", "0123456789ab"],
    [`/docker/${id}`, "docker"],
    [`/system.slice/docker-${id}.scope`, "docker"],
    [`/docker/${id}/init.scope`, "docker"],
    [`/machine.slice/libpod-${id}.scope/container`, "podman"],
    [`/libpod_parent/libpod-${id}`, "podman"],
    [`/kubepods.slice/kubepods-pod1.slice/crio-${id}.scope`, "cri-o"],
    [`/kubepods.slice/kubepods-burstable.slice/x.slice/cri-containerd-${id}.scope`, "containerd"],
    [`/kubepods/besteffort/pod0b/${id}`, "kubernetes"],
    [`/system.slice/nerdctl-${id}.scope`, "containerd"],
    [`/k8s.io/${id}`, "containerd"],
    ["/system.slice/runc-web.scope", "runc", "web"],
    ["/lxc/web/x", "lxc", "web"],
    ["/lxc.payload.web", "lxc", "web"],
    ["/machine.slice/systemd-nspawn@web.service/payload", "nspawn", "web"],
    ["/", undefined],
    ["/system.slice/docker.service", undefined],
    ["/docker", undefined],
    ["/nsk-0123456789abc", undefined],
    ["/x-nsk-0123456789ab", undefined],
    [`/docker/${id}0`, undefined],
  ];
  for (const [path, engine, found = id] of rows)
    test(path, () =>
      expect(containerOf([path])).toEqual(engine === undefined ? undefined : { engine, id: found }),
    );
});

test("of several hierarchies one is enough, and of a container in a container it is the inner one", () => {
  expect(containerOf(["/", "/nsk-0123456789ab", "/user.slice"])?.id).toBe("0123456789ab");
  expect(containerOf([`/docker/${id}/nsk-0123456789ab`])?.engine).toBe("nsk");
  expect(containerOf([])).toBeUndefined();
});

test("a record names the first process and when it started", () => {
  const stat = `14262 (a) b) R 1${" 0".repeat(17)} 333576 204800`;
  expect(parseRecord(`/sys/fs/cgroup/cpu/nsk-x\n${stat}\n`)).toEqual({ pid: 14262, started: "333576" });
  expect(parseRecord("/sys/fs/cgroup/cpu/nsk-x\n")).toBeUndefined();
});
