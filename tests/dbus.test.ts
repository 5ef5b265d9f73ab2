import { describe, expect, test } from "bun:test";
import { decodeMessage, encodeCall } from "../src/abi/dbus.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(/\s/g, ""), "hex"));

describe("a method call", () => {
  test("without arguments, byte for byte", () => {
    const call = encodeCall({ destination: "d.e", path: "/p", interface: "i.f", member: "M", body: [] }, 7);
    // The fixed part, the length of the fields, each field on a multiple of 8, and nothing behind them.
    expect(hex(call)).toBe(
      hex(
        bytes(`6c010001 00000000 07000000 3c000000
               01016f00 02000000 2f700000 00000000
               02017300 03000000 692e6600 00000000
               03017300 01000000 4d000000 00000000
               06017300 03000000 642e6500 00000000`),
      ),
    );
  });
  test("with properties: every value where its type wants it", () => {
    const call = encodeCall(
      {
        path: "/p",
        interface: "i",
        member: "M",
        body: [
          { type: "s", value: "n" },
          {
            type: "a(sv)",
            value: [
              ["PIDs", { type: "au", value: [1, 258] }],
              ["Delegate", { type: "b", value: true }],
            ],
          },
          { type: "a(sa(sv))", value: [] },
        ],
      },
      1,
    );
    const body = call.length - new DataView(call.buffer).getUint32(4, true);
    expect(hex(call.subarray(body))).toBe(
      hex(
        bytes(`01000000 6e000000 34000000 00000000
               04000000 50494473 00026175 00000000 08000000 01000000 02010000 00000000
               08000000 44656c65 67617465 00016200 01000000
               00000000`),
      ),
    );
  });
});

describe("an answer", () => {
  const answer = (type: number, fields: string, body = ""): Uint8Array => {
    const [head, content] = [bytes(fields), bytes(body)];
    const padded = Math.ceil(head.length / 8) * 8;
    const message = new Uint8Array(16 + padded + content.length);
    message.set([0x6c, type, 0, 1]);
    const view = new DataView(message.buffer);
    view.setUint32(4, content.length, true);
    view.setUint32(8, 99, true);
    view.setUint32(12, head.length, true);
    message.set(head, 16);
    message.set(content, 16 + padded);
    return message;
  };
  test("with an object's path", () => {
    const message = answer(2, "05017500 07000000 08016700 016f00", "02000000 2f6a00");
    expect(decodeMessage(message)).toEqual({
      answer: { serial: 7, error: undefined, text: "/j" },
      length: message.length,
    });
  });
  test("with an error and its words", () => {
    const message = answer(
      3,
      "04017300 03000000 612e6200 00000000 05017500 02000000 08016700 017300",
      "02000000 6e6f00",
    );
    expect(decodeMessage(message)?.answer).toEqual({ serial: 2, error: "a.b", text: "no" });
  });
  test("that is not all there yet is waited for", () => {
    const message = answer(2, "05017500 07000000");
    for (let length = 0; length < message.length; length++)
      expect(decodeMessage(message.subarray(0, length))).toBeUndefined();
    expect(decodeMessage(message)?.answer.serial).toBe(7);
  });
  test("to nobody is known by having no serial", () => {
    expect(decodeMessage(answer(4, "05017500 07000000"))?.answer.serial).toBeUndefined();
  });
});
