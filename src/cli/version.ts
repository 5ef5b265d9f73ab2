// Which nsk this is. The build puts the numbers in (`--define`); from the sources there are none.

declare const NSK_VERSION: string | undefined;
declare const NSK_COMMIT: string | undefined;

/** Whether this is the executable that the build makes, and not the sources run by Bun. */
export const isBuilt: boolean = typeof NSK_VERSION !== "undefined";

/** `0.1.0 (1a2b3c4)`, or `development` when run from the sources. */
export const version: string =
  typeof NSK_VERSION === "undefined"
    ? "development"
    : typeof NSK_COMMIT === "undefined"
      ? NSK_VERSION
      : `${NSK_VERSION} (${NSK_COMMIT})`;
