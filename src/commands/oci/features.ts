export const features = undefined as never;
