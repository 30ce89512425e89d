// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for (C0, DEL, C1)
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

/** Whether a text has a character that no name and no path may have. */
export function holdsControl(text: string): boolean {
  return CONTROL.test(text);
}
