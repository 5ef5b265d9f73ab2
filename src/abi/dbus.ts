// The D-Bus wire format, as much of it as a few method calls to systemd need: messages to bytes and back, little-endian.
// Pure. @see https://dbus.freedesktop.org/doc/dbus-specification.html

import { encode } from "./bytes.ts";

/** A value with its type: the letter of its signature. */
export type BusValue =
  | { readonly type: "s" | "o"; readonly value: string }
  | { readonly type: "b"; readonly value: boolean }
  | { readonly type: "u"; readonly value: number }
  | { readonly type: "au"; readonly value: readonly number[] }
  | { readonly type: "as"; readonly value: readonly string[] }
  /** Properties: names with values of any type. */
  | { readonly type: "a(sv)"; readonly value: readonly (readonly [name: string, value: BusValue])[] }
  /** Nothing else is ever sent in it: further units, none. */
  | { readonly type: "a(sa(sv))"; readonly value: readonly never[] };

export interface MethodCall {
  /** Left out on a connection that has one other end. */
  readonly destination?: string;
  readonly path: string;
  readonly interface: string;
  readonly member: string;
  readonly body: readonly BusValue[];
}

const METHOD_CALL = 1;
const METHOD_RETURN = 2;
const ERROR = 3;
/** Codes of header fields. */
const FIELD = {
  path: 1,
  interface: 2,
  member: 3,
  errorName: 4,
  replySerial: 5,
  destination: 6,
  signature: 8,
};

/** Bytes that grow at the end, each value aligned as its type wants. */
interface Writer {
  readonly bytes: number[];
  align(to: number): void;
  word(value: number): void;
  string(value: string): void;
  signature(value: string): void;
  /** An array: its length in bytes, padding to the first element, elements. */
  array(alignment: number, write: () => void): void;
}

const writer = (): Writer => {
  const bytes: number[] = [];
  const align = (to: number): void => {
    while (bytes.length % to) bytes.push(0);
  };
  const put = (at: number, value: number): void => {
    for (let i = 0; i < 4; i++) bytes[at + i] = (value >>> (8 * i)) & 0xff;
  };
  const word = (value: number): void => {
    align(4);
    put(bytes.length, value);
  };
  return {
    bytes,
    align,
    word,
    string: (value) => {
      const text = encode(value);
      word(text.length);
      bytes.push(...text, 0);
    },
    signature: (value) => {
      bytes.push(value.length, ...encode(value), 0);
    },
    array: (alignment, write) => {
      word(0);
      const length = bytes.length - 4;
      align(alignment);
      const start = bytes.length;
      write();
      put(length, bytes.length - start);
    },
  };
};

const writeValue = (to: Writer, it: BusValue): void => {
  switch (it.type) {
    case "s":
    case "o":
      return to.string(it.value);
    case "b":
      return to.word(it.value ? 1 : 0);
    case "u":
      return to.word(it.value);
    case "au":
      return to.array(4, () => it.value.forEach(to.word));
    case "as":
      return to.array(4, () => it.value.forEach(to.string));
    case "a(sv)":
      return to.array(8, () => {
        for (const [name, value] of it.value) {
          to.align(8);
          to.string(name);
          to.signature(value.type);
          writeValue(to, value);
        }
      });
    case "a(sa(sv))":
      return to.array(8, () => {});
  }
};

/** A method call as bytes; `serial` is what its answer will name. */
export const encodeCall = (call: MethodCall, serial: number): Uint8Array => {
  const body = writer();
  for (const value of call.body) writeValue(body, value);
  const head = writer();
  head.bytes.push("l".charCodeAt(0), METHOD_CALL, 0, 1);
  head.word(body.bytes.length);
  head.word(serial);
  const field = (code: number, type: string, value: string): void => {
    head.align(8);
    head.bytes.push(code);
    head.signature(type);
    if (type === "g") head.signature(value);
    else head.string(value);
  };
  head.array(8, () => {
    field(FIELD.path, "o", call.path);
    field(FIELD.interface, "s", call.interface);
    field(FIELD.member, "s", call.member);
    if (call.destination !== undefined) field(FIELD.destination, "s", call.destination);
    if (call.body.length) field(FIELD.signature, "g", call.body.map(({ type }) => type).join(""));
  });
  head.align(8);
  return Uint8Array.from([...head.bytes, ...body.bytes]);
};

/** A message that has come in. */
export interface Answer {
  /** Of the call that it answers; undefined for what answers none. */
  readonly serial: number | undefined;
  /** The error's name, for a call that failed. */
  readonly error: string | undefined;
  /** The first thing in it, where that is a string: the message of an error, an object's path. */
  readonly text: string | undefined;
}

/** The first message in `bytes` and how long it is; undefined while it is not all there. */
export const decodeMessage = (bytes: Uint8Array): { answer: Answer; length: number } | undefined => {
  if (bytes.length < 16) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const isLittle = bytes[0] === "l".charCodeAt(0);
  const word = (at: number): number => view.getUint32(at, isLittle);
  const aligned = (at: number, to: number): number => Math.ceil(at / to) * to;
  const fields = word(12);
  const start = aligned(16 + fields, 8);
  const length = start + word(4);
  if (bytes.length < length) return undefined;
  const text = (at: number): string => new TextDecoder().decode(bytes.subarray(at + 4, at + 4 + word(at)));

  let serial: number | undefined;
  let error: string | undefined;
  let signature = "";
  for (let at = 16; at < 16 + fields;) {
    at = aligned(at, 8);
    const [code, typeLength] = [bytes[at]!, bytes[at + 1]!];
    const type = String.fromCharCode(...bytes.subarray(at + 2, at + 2 + typeLength));
    at += 3 + typeLength;
    if (type === "g") {
      if (code === FIELD.signature)
        signature = String.fromCharCode(...bytes.subarray(at + 1, at + 1 + bytes[at]!));
      at += 2 + bytes[at]!;
      continue;
    }
    at = aligned(at, 4);
    if (type === "u") {
      if (code === FIELD.replySerial) serial = word(at);
      at += 4;
    } else {
      if (code === FIELD.errorName) error = text(at);
      at += 5 + word(at);
    }
  }
  const isAnswer = bytes[1] === METHOD_RETURN || bytes[1] === ERROR;
  const isText = signature.startsWith("s") || signature.startsWith("o");
  return {
    answer: { serial: isAnswer ? serial : undefined, error, text: isText ? text(start) : undefined },
    length,
  };
};
