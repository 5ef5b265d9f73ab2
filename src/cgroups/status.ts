// libcgroup's exit statuses: its tools end with an error code of the library (50000 and up) cut to a byte. Scripts
// match on them, so nsk's commands end with the same.

/** @see /usr/include/libcgroup/error.h */
export const STATUS = {
  /** ECGROUPNOTEXIST */
  noGroup: 82,
  /** ECGROUPSUBSYSNOTMOUNTED */
  notMounted: 84,
  /** ECGROUPNOTALLOWED */
  notAllowed: 87,
  /** ECGINVAL */
  badName: 91,
  /** ECGFAIL: lscgroup does not know a controller */
  noController: 93,
  /** ECGROUPVALUENOTEXIST */
  noSetting: 95,
  /** ECGOTHER: a system call failed */
  other: 96,
  /** ECGRULESPARSEFAIL */
  noRules: 99,
  /** ECGMOUNTFAIL */
  mountFailed: 101,
  /** ECGCONFIGPARSEFAIL */
  badConfig: 104,
  /** -1: the command line makes no sense */
  usage: 255,
} as const;
