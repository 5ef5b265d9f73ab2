// The log of a container that nobody waits for: frames, each a piece of what it printed. In front of the bytes stand
// the stream and their number (32 bits each), seconds since 1970 and nanoseconds (64 bits each), lower bytes first. A
// supervisor that is killed may leave a frame half-written, which is passed over. Pure.

/** Streams of frames. `lost` has 8 bytes: the number of those that the disk had no room for. */
export const STREAM = { stdout: 1, stderr: 2, lost: 3 } as const;

const HEADER = 24;

export interface Frame {
  readonly stream: number;
  /** Nanoseconds since 1970. */
  readonly time: bigint;
  readonly bytes: Uint8Array;
}

/** The whole frames at the beginning of `bytes`, and how many bytes they are. */
export const parseFrames = (bytes: Uint8Array): { readonly frames: Frame[]; readonly used: number } => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: Frame[] = [];
  let at = 0;
  while (at + HEADER <= bytes.length) {
    const end = at + HEADER + view.getUint32(at + 4, true);
    if (end > bytes.length) break;
    frames.push({
      stream: view.getUint32(at, true),
      time: view.getBigUint64(at + 8, true) * 1_000_000_000n + view.getBigUint64(at + 16, true),
      bytes: bytes.subarray(at + HEADER, end),
    });
    at = end;
  }
  return { frames, used: at };
};

/** A piece of a line, or all of it. */
export interface Piece {
  readonly stream: number;
  readonly time: bigint;
  readonly bytes: Uint8Array;
  /** Whether a line begins here. */
  readonly begins: boolean;
}

/** Cuts frames into lines. What a line of each stream has not ended with is remembered from call to call. */
export const lineCutter = (): ((frame: Frame) => Piece[]) => {
  const open = new Set<number>();
  return ({ stream, time, bytes }) => {
    const pieces: Piece[] = [];
    for (let at = 0; at < bytes.length;) {
      const newline = bytes.indexOf(10, at);
      const end = newline < 0 ? bytes.length : newline + 1;
      pieces.push({ stream, time, bytes: bytes.subarray(at, end), begins: !open.has(stream) });
      if (newline < 0) open.add(stream);
      else open.delete(stream);
      at = end;
    }
    return pieces;
  };
};
