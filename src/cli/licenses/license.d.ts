// The project's own licence is a text without an ending, which TypeScript asks to be told.

declare module "*/LICENSE" {
  const text: string;
  export default text;
}
