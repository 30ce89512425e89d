/** The system's name for an error, `ENOENT`; of another error, nothing. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}
