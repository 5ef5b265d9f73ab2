// The tools of other packages that nsk has a command of the same name for: a link with one of these names to the
// binary is that tool.

export const mirroredTools = [
  "unshare",
  "nsenter",
  "lsns",
  "cgcreate",
  "cgset",
  "cgget",
  "cgexec",
  "cgdelete",
  "cgclassify",
  "lscgroup",
  "lssubsys",
  "cgxset",
  "cgxget",
  "cgsnapshot",
  "cgconfigparser",
] as const;
