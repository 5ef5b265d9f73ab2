// How images are written on a command line.

/** A prefix that only an image of a registry has, and those behind which a path stands, as skopeo writes them. */
const REGISTRY = "docker://";
const FILES = /^(?:oci|oci-archive|docker-archive|dir-archive):(?=.)/;

/** Whether a word cannot be anything but an image. */
export const isOnlyImage = (word: string): boolean => word.startsWith(REGISTRY) || FILES.test(word);

/** Whether a word names an image by its path. */
export const isFile = (word: string): boolean => FILES.test(word) || /^\.{0,2}\//.test(word);

/** The path that {@link isFile} has found. */
export const pathOf = (word: string): string => word.replace(FILES, "");

/** The name of an image in a registry or in the store. */
export const bareName = (word: string): string =>
  word.startsWith(REGISTRY) ? word.slice(REGISTRY.length) : word;
