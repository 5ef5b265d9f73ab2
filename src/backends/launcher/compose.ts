// C strings that only the run can put together, such as /proc/PID/ns/net. The two routines that append to a string are
// part of every launcher's runtime, and of the prelude (scripts/link); which strings there are is the plan's.

import type { Builder } from "./builder.ts";

/**
 * `append text`: copies the C string at `from` to `end`, and leaves `end` at the NUL. `append number`: does the same
 * with `number` in decimal, 0 to 4294967295. There is no division among the instructions, and none is needed.
 */
export const appendRoutines = (b: Builder): void => {
  const [from, end, byte] = [b.variable("from"), b.variable("end"), b.variable("byte")];
  b.label("append text");
  b.load(byte, from, 1);
  b.store(end, byte, 1);
  b.branch("eq", byte, 0, "appended text");
  b.compute("add", from, 1);
  b.compute("add", end, 1);
  b.jump("append text");
  b.label("appended text");
  b.comeBack();

  const [number, power, digit] = [b.variable("number"), b.variable("power"), b.variable("digit")];
  b.label("append number");
  b.move(from, b.words([1e9, 1e8, 1e7, 1e6, 1e5, 1e4, 1e3, 100, 10, 1]));
  // Zeros in front are passed over; the last digit is written even if it is one.
  b.label("leading");
  b.load(power, from, 8);
  b.branch("eq", power, 1, "digit");
  b.branch("ge", number, power, "digit");
  b.compute("add", from, 8);
  b.jump("leading");
  b.label("digit");
  b.load(power, from, 8);
  b.move(digit, 0x30); // '0'
  b.label("subtract");
  b.branch("lt", number, power, "subtracted");
  b.compute("sub", number, power);
  b.compute("add", digit, 1);
  b.jump("subtract");
  b.label("subtracted");
  b.store(end, digit, 1);
  b.compute("add", end, 1);
  b.compute("add", from, 8);
  b.branch("ne", power, 1, "digit");
  b.store(end, 0, 1);
  b.comeBack();
};
