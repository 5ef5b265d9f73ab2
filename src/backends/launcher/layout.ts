// Where the parts of a launcher lie in memory, and the order of its file: headers, runtime, the plan's constants, the
// plan's code. All of that is one segment to read and execute; the variables are the other, to read and write.

/** Bytes of the ELF header and three program headers. */
export const HEADERS = 64 + 3 * 56;
/** Where the file is mapped. */
export const BASE = 0x400000;
/** The runtime comes right behind the headers. */
export const RUNTIME = BASE + HEADERS;
/** Far enough from the code for any plan, and near enough for 32-bit addresses. */
export const VARIABLES = 0x800000;
