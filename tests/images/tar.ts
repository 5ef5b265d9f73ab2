// Archives byte by byte, also such as no tar would write.

import { gzipSync } from "node:zlib";

export interface Member {
  readonly name: string;
  /** `0` a file, `1` a hard link, `2` a symbolic link, `3` and `4` devices, `5` a directory, `x` and `g` of pax. */
  readonly type?: string;
  readonly content?: string | Uint8Array;
  readonly target?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly device?: readonly [major: number, minor: number];
  /** What the header says of the size, where that is not the content's. */
  readonly size?: number;
  /** Records of an extended header before it. */
  readonly pax?: Readonly<Record<string, string | Uint8Array>>;
}

const encoder = new TextEncoder();
const bytesOf = (it: string | Uint8Array): Uint8Array => (typeof it === "string" ? encoder.encode(it) : it);

const padded = (bytes: Uint8Array): Uint8Array => {
  const out = new Uint8Array(Math.ceil(bytes.length / 512) * 512);
  out.set(bytes);
  return out;
};

const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, "0")}\0`;

export const paxRecord = (key: string, value: string | Uint8Array): Uint8Array => {
  const rest = Buffer.concat([bytesOf(` ${key}=`), bytesOf(value), bytesOf("\n")]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([bytesOf(String(length)), rest]);
};

const header = (member: Member, size: number): Uint8Array => {
  const block = new Uint8Array(512);
  const put = (text: string, at: number): void => block.set(bytesOf(text), at);
  block.set(bytesOf(member.name).subarray(0, 100), 0);
  put(octal(member.mode ?? 0o644, 8), 100);
  put(octal(member.uid ?? 0, 8), 108);
  put(octal(member.gid ?? 0, 8), 116);
  put(octal(size, 12), 124);
  put(octal(member.mtime ?? 0, 12), 136);
  put(" ".repeat(8), 148);
  put(member.type ?? "0", 156);
  block.set(bytesOf(member.target ?? "").subarray(0, 100), 157);
  put("ustar\x0000", 257);
  put(octal(member.device?.[0] ?? 0, 8), 329);
  put(octal(member.device?.[1] ?? 0, 8), 337);
  put(
    `${block
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
  );
  return block;
};

export const tarOf = (...members: readonly Member[]): Uint8Array => {
  const parts: Uint8Array[] = [];
  for (const member of members) {
    if (member.pax) {
      const records = Buffer.concat(Object.entries(member.pax).map(([key, value]) => paxRecord(key, value)));
      parts.push(header({ name: "pax", type: "x" }, records.length), padded(records));
    }
    const content = bytesOf(member.content ?? "");
    parts.push(header(member, member.size ?? content.length), padded(content));
  }
  parts.push(new Uint8Array(1024));
  return Buffer.concat(parts);
};

export const gzipped = (bytes: Uint8Array): Uint8Array => gzipSync(bytes);
