// Where nsk does not do what the tool does that it mirrors, on purpose. A test that finds such a difference names it by
// `difference("key")`; differences.test.ts fails for one that no test names.

export interface Difference {
  readonly tool: string;
  readonly what: string;
  readonly reason: string;
}

export const differences = {
  "cg-messages": {
    tool: "libcgroup",
    what: "the words of error messages",
    reason: "libcgroup names neither file nor value; nsk names both, and the likely cause",
  },
  "cgcreate-all-or-nothing": {
    tool: "cgcreate",
    what: "when one of several groups cannot be made, libcgroup leaves those made before it",
    reason: "nothing half-made is left behind",
  },
  "cgcreate-cpuset": {
    tool: "cgcreate",
    what: "a new cpuset of version 1 has the processors and memory nodes of the group above; libcgroup leaves it empty",
    reason: "no process can enter an empty cpuset, so cgexec would fail with ENOSPC",
  },
  "cgcreate-owner": {
    tool: "cgcreate",
    what: "an unknown user or group ends with 255; libcgroup says so and ends with 0. Numbers are taken too",
    reason: "a script must see that nothing was made",
  },
  "cgcreate-v2-entrances": {
    tool: "cgcreate",
    what: "on version 2 -t and -s are for cgroup.procs and cgroup.threads; libcgroup gives these away with -a and -f",
    reason: "they are what tasks is on version 1: the files through which processes enter",
  },
  "cgcreate-v2-privilege": {
    tool: "cgcreate",
    what: "without privilege it ends with 87 on both versions; libcgroup with 95 on version 2",
    reason: "one cause has one status",
  },
  "cg-dotdot": {
    tool: "libcgroup",
    what: "a path with .. is refused with 255; libcgroup follows it",
    reason: "a group's name must not lead out of its hierarchy",
  },
  "cg-named": {
    tool: "libcgroup",
    what: "name=systemd finds a named hierarchy that is mounted; libcgroup says 84",
    reason: "the manual pages promise it",
  },
  "cgdelete-lists": {
    tool: "cgdelete",
    what: "removes the group in all hierarchies of a list; libcgroup 2.0.2 leaves some behind and ends with 0. Not all need to have it",
    reason: "a tutorial's cpu,cpuacct:/x must leave nothing, whether the two are mounted together or not",
  },
  "cgdelete-star": {
    tool: "cgdelete",
    what: "takes *:path; libcgroup says 84",
    reason: "cgcreate takes it, so it must be possible to undo",
  },
  "cgdelete-root": {
    tool: "cgdelete",
    what: "the root of a hierarchy is refused with 96; libcgroup does nothing and ends with 0",
    reason: "nothing was removed",
  },
  "cgexec-star": {
    tool: "cgexec",
    what: "on a hybrid host * means the controllers of version 1; libcgroup adds version 2's, where cgcreate '*:x' makes no group",
    reason: "what cgcreate '*:x' made must be there for cgexec '*:x'",
  },
  "cgset-bad-setting": {
    tool: "cgset",
    what: "-r without a value or without a controller ends with 255; libcgroup ends with 0, or of SIGSEGV",
    reason: "a script must see that nothing was set",
  },
  "cgset-variable": {
    tool: "cgset",
    what: "takes --variable; libcgroup 2.0.2 has it in its help and manual page only",
    reason: "the help says so",
  },
  "cgset-all-or-nothing": {
    tool: "cgset",
    what: "a setting, group or controller that does not exist is found before anything is written",
    reason: "half of the settings is none of the states that were asked for",
  },
  "cgset-copy": {
    tool: "cgset",
    what: "--copy-from writes only settings, and only where they differ; a source that is not there ends with 82, not 0",
    reason: "libcgroup tries every file, also those that count or only report, and passes over what fails",
  },
  "cg-translation": {
    tool: "libcgroup",
    what: "names of the other version of control groups are translated",
    reason: "a tutorial for version 1 must work on a machine with version 2",
  },
  "cgget-lists": {
    tool: "cgget",
    what: "-g takes a list of controllers, * and names of both versions; libcgroup shows nothing for a list without a path",
    reason: "the other tools take lists",
  },
  "cgget-missing": {
    tool: "cgget",
    what: "a group or controller that is not there is an error (96) with -g and -a too; libcgroup shows an empty group and ends with 0",
    reason: "a script must be able to tell; with -r libcgroup does so itself",
  },
  "lscgroup-lists": {
    tool: "lscgroup",
    what: "lists the groups of all controllers that cpu,pids:path names; libcgroup those of the first",
    reason: "the other tools take lists",
  },
  "lscgroup-missing": {
    tool: "lscgroup",
    what: "a group that is not there ends with 82; libcgroup prints nothing and ends with 0",
    reason: "a script must be able to tell",
  },
  "lssubsys-unknown": {
    tool: "lssubsys",
    what: "a controller that does not exist ends with 84; libcgroup prints nothing and ends with 0",
    reason: "a script must be able to tell",
  },
  "lssubsys-hybrid": {
    tool: "lssubsys",
    what: "shows the hierarchies of a host with a part in version 2, and version 2 itself; libcgroup 2.0.2 ends with 82",
    reason: "that is what it is for",
  },
  "cgsnapshot-settings": {
    tool: "cgsnapshot",
    what: "without -b leaves out what cannot be loaded again: counters, empty values, what acts when it is written. libcgroup has a file for that, and fails where it is not there; it shows read-only files of pids and freezer",
    reason: "a snapshot is there to be loaded",
  },
  "cgconfigparser-all-or-nothing": {
    tool: "cgconfigparser",
    what: "groups that were made are removed again when a later setting fails",
    reason: "nothing half-made is left behind",
  },
  "cgconfigparser-mounted": {
    tool: "cgconfigparser",
    what: "a mount that is there already is no error, nor one that cgroup v2 makes needless; libcgroup ends with 101",
    reason: "what was asked for is so, and cgsnapshot writes mounts down",
  },
  "cgclassify-threads": {
    tool: "cgclassify",
    what: "a process with several threads moves as a whole on version 1; libcgroup moves its first thread",
    reason: "the manual page says that processes are moved",
  },
  "cgrules-template": {
    tool: "cgexec",
    what: "makes the group that a rule with a template names; libcgroup 2.0.2 ends of SIGSEGV",
    reason: "the manual page promises it",
  },
  "removed-directory": {
    tool: "a program run directly",
    what: "from a working directory that has been removed nsk does not start",
    reason: "Bun asks for the directory's path before nsk's first line, and ends when there is none",
  },
  "sigchld-with-fork": {
    tool: "a program run directly",
    what: "behind unshare --fork SIGCHLD is at its default, also when the caller ignores it",
    reason: "as util-linux's: whoever ignores it has no child to wait for",
  },
  "nsenter-kind-twice": {
    tool: "nsenter",
    what: "of two options for one kind the last one counts; for util-linux 2.38 one without a file, wherever it stands",
    reason: "as everywhere else on a command line",
  },
  "nsenter-large-id": {
    tool: "nsenter",
    what: "an id above 4294967294 is refused; util-linux 2.38 cuts it to 32 bits, which makes 4294967296 root",
    reason: "a mistyped id must not be another user",
  },
  "nsenter-messages": {
    tool: "nsenter",
    what: "the words of error messages, and a hint",
    reason: "an error names the step of the plan that failed, as --explain prints it",
  },
  "nsenter-selinux": {
    tool: "nsenter",
    what: "--follow-context where there is no SELinux says so, and goes on; util-linux goes on silently",
    reason: "who asks for a security context should know that there is none",
  },
  "unshare-messages": {
    tool: "unshare",
    what: "the words of error messages, and a hint",
    reason: "an error names the step of the plan that failed, as --explain prints it",
  },
  "unshare-large-id": {
    tool: "unshare",
    what: "an id above 4294967294 is refused; util-linux 2.38 cuts it to 32 bits, which makes 4294967296 root, and takes 4294967295 for none",
    reason: "a mistyped id must not be another user",
  },
  "unshare-last-counts": {
    tool: "unshare",
    what: "of an option that is repeated only the last value is looked at; util-linux 2.38 refuses an earlier one that is wrong",
    reason: "what does not count cannot be wrong",
  },
  "unshare-setgroups": {
    tool: "unshare",
    what: "--setgroups=deny goes with -r, -c and --map-group; util-linux 2.38 says that writing setgroups is not permitted",
    reason: "what is asked for is what these options do themselves",
  },
  "unshare-sigkill": {
    tool: "unshare",
    what: "with --fork, a child that SIGKILL ended makes it end by SIGKILL; util-linux 2.38 fails with 1",
    reason:
      "a signal's default action cannot be set for SIGKILL, and need not be; every other signal is passed on",
  },
  "unshare-passwd-shell": {
    tool: "unshare",
    what: "without $SHELL the shell of passwd(5) is run; util-linux 2.38 runs sh",
    reason: "the manual of util-linux 2.42 says so",
  },
  "unshare-user-file": {
    tool: "unshare",
    what: "--user=FILE keeps a user namespace; util-linux 2.38 says that the mount is not permitted",
    reason: "the manual promises it; a helper outside of the namespace may mount",
  },
  "unshare-ranges-of-root": {
    tool: "unshare",
    what: "root's --map-users and --map-groups are written by nsk itself, whatever /etc/subuid says; util-linux 2.38 has newuidmap refuse them",
    reason: "as util-linux since 2.40: root may, and needs no package for it",
  },
  "unshare-hole-behind": {
    tool: "unshare",
    what: "an id right behind a range makes no hole in it; util-linux 2.38 loses the range's highest id",
    reason: "the manual speaks of a range that overlaps",
  },
  "unshare-several-ranges": {
    tool: "unshare",
    what: "--map-users and --map-groups may be repeated; for util-linux 2.38 the last one counts",
    reason: "as util-linux since 2.40",
  },
  "unshare-signal-number": {
    tool: "unshare",
    what: "--kill-child takes a number; util-linux 2.38 takes names only",
    reason: "kill(1) takes both",
  },
  "lsns-held": {
    tool: "lsns",
    what: "namespaces without processes, which a mount or an open descriptor holds, are listed; util-linux 2.38 cannot see them",
    reason: "they are there, take memory and can be entered, and somebody must find them to be rid of them",
  },
  "lsns-hidepid": {
    tool: "lsns",
    what: "on a /proc mounted with hidepid=1 a plain user's own are listed; util-linux 2.38 ends with 1",
    reason: "as with hidepid=2, which hides more: what may not be seen is left out",
  },
  "lsns-newline": {
    tool: "lsns",
    what: "a process whose name has a newline is one like others; with one util-linux 2.38 lists nothing and ends with 1",
    reason: "any user could hide all namespaces from everybody",
  },
  "lsns-locale": {
    tool: "lsns",
    what: "the tree is drawn in UTF-8 where the locale's name says so; util-linux wants the locale to be installed too",
    reason: "a fresh machine rarely has it, and the terminal knows UTF-8 all the same",
  },
  "lsns-messages": {
    tool: "lsns",
    what: "a mistake in -o is named; util-linux ends with 1 without a word where the list is empty",
    reason: "an error names what is wrong",
  },
  "lsns-zero": {
    tool: "lsns",
    what: "no namespace has the number 0; util-linux 2.38 then lists all, with the columns for one",
    reason: "a script's empty variable must not look like an answer",
  },
} as const satisfies Readonly<Record<string, Difference>>;

/** For a test's title: `difference: REASON`. */
export const difference = (key: keyof typeof differences): string => `difference: ${differences[key].reason}`;
