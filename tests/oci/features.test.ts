// What features says, by the spec's own names, and that it is true.

import { expect, test } from "bun:test";
import { featuresOf } from "../../src/containers/oci/features.ts";
import { specConfig } from "../../src/containers/oci/spec.ts";
import { parseConfig } from "../../src/containers/parse-config.ts";
import { fixtureHost } from "../../src/host/fixture.ts";
import { testNeeding } from "../support/needs.ts";
import { runCommand, runNsk } from "../support/nsk.ts";

const host = fixtureHost();
const features = featuresOf(host) as any;

test("features has the members of features.md, and is what the command prints", () => {
  expect(Object.keys(features)).toEqual(["ociVersionMin", "ociVersionMax", "hooks", "mountOptions", "linux"]);
  expect(Object.keys(features.linux)).toEqual([
    "namespaces",
    "capabilities",
    "cgroup",
    "seccomp",
    "apparmor",
    "selinux",
    "intelRdt",
    "mountExtensions",
  ]);
  expect(JSON.parse(runNsk("oci", "features").stdout).hooks).toEqual(features.hooks);
});

testNeeding("runc")("it has what runc has, but for what is refused", () => {
  const theirs = JSON.parse(runCommand(["runc", "features"]).stdout);
  const missing = (mine: readonly string[], other: readonly string[]): string[] =>
    other.filter((it) => !mine.includes(it));
  expect(missing(features.hooks, theirs.hooks)).toEqual([]);
  // "acl" is a filesystem's own, "remount" is no mount.
  expect(missing(features.mountOptions, theirs.mountOptions)).toEqual(["acl", "noacl", "remount"]);
  expect(missing(features.linux.namespaces, theirs.linux.namespaces)).toEqual([]);
  expect(missing(features.linux.capabilities, theirs.linux.capabilities)).toEqual([]);
  expect(missing(features.linux.seccomp.actions, theirs.linux.seccomp.actions)).toEqual(["SCMP_ACT_NOTIFY"]);
  expect(missing(features.linux.seccomp.operators, theirs.linux.seccomp.operators)).toEqual([]);
});

test("every option of a mount that it names is taken", () => {
  const config = structuredClone(specConfig(undefined)) as any;
  for (const option of features.mountOptions) {
    const type = option === "tmpcopyup" ? "tmpfs" : "bind";
    const map = [{ containerID: 0, hostID: 0, size: 1 }];
    const mount = { destination: "/x", type, source: "/y", options: [option] };
    const mapped = option.endsWith("idmap") ? { ...mount, uidMappings: map, gidMappings: map } : mount;
    config.mounts = [option === "mand" ? { ...mount, type: "ext4" } : mapped];
    expect(parseConfig(JSON.stringify(config), host).mounts).toHaveLength(1);
  }
});
