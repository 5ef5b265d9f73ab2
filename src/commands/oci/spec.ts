export const spec = undefined as never;
