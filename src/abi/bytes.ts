// Text that came from the kernel as bytes: file names, arguments and environment need not be UTF-8. They live in
// JavaScript strings all the same, and no byte is lost: a byte that is not part of valid UTF-8 becomes the lone
// surrogate U+DC00 + byte (Python's "surrogateescape", PEP 383), and becomes that byte again on the way out.

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** The length in bytes of the valid UTF-8 sequence at `at`, or 0. (RFC 3629, table in section 4) */
const sequenceLength = (bytes: Uint8Array, at: number): number => {
  const lead = bytes[at]!;
  const length = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  if (length === 0 || at + length > bytes.length) return 0;
  for (let i = 1; i < length; i++) if ((bytes[at + i]! & 0xc0) !== 0x80) return 0;
  const second = bytes[at + 1]!;
  if (lead === 0xe0 && second < 0xa0) return 0; // overlong
  if (lead === 0xed && second > 0x9f) return 0; // a surrogate
  if (lead === 0xf0 && second < 0x90) return 0; // overlong
  if (lead === 0xf4 && second > 0x8f) return 0; // past U+10FFFF
  return length;
};

/** Bytes to a string that {@link encode} turns back into the same bytes. */
export const decode = (bytes: Uint8Array): string => {
  try {
    return strict.decode(bytes);
  } catch {
    let text = "";
    for (let at = 0; at < bytes.length;) {
      const length = sequenceLength(bytes, at);
      text += length
        ? strict.decode(bytes.subarray(at, at + length))
        : String.fromCharCode(0xdc00 + bytes[at]!);
      at += length || 1;
    }
    return text;
  }
};

/** A string to bytes: UTF-8, and an escaped byte as itself. */
export const encode = (text: string): Uint8Array => {
  if (text.isWellFormed()) return encoder.encode(text);
  const parts: number[] = [];
  for (const character of text) {
    const code = character.charCodeAt(0);
    if (character.length === 1 && code >= 0xdc80 && code <= 0xdcff) parts.push(code - 0xdc00);
    else parts.push(...encoder.encode(character));
  }
  return Uint8Array.from(parts);
};

/** The bytes of a C string, with the NUL that ends it. A NUL inside would cut it short unseen, so it is refused. */
export const cString = (text: string): Uint8Array => {
  if (text.includes("\0")) refuseNul(text);
  const bytes = encode(text);
  const out = new Uint8Array(bytes.length + 1);
  out.set(bytes);
  return out;
};

/** For text with a NUL byte where there must be none. */
export const refuseNul = (text: string): never => {
  throw new RangeError(`a NUL byte inside ${JSON.stringify(text)}`);
};

/** `text` with control characters and undecodable bytes made visible, for a terminal or a log. */
export const printable = (text: string): string => (isPlain(text) ? text : escape(text));

// Nearly every text is, and making a regular expression costs start-up time.
const isPlain = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 0x20 || code > 0x7e) return false;
  }
  return true;
};

const escape = (text: string): string =>
  text.replace(/[\x00-\x1f\x7f-\x9f\ud800-\udfff]/gu, (character) => {
    const code = character.charCodeAt(0);
    return `\\x${(code >= 0xdc00 ? code - 0xdc00 : code).toString(16).padStart(2, "0")}`;
  });
