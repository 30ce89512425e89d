/** A directory that cannot be ingested as a guide-board run; the message names the file, and the field where one is at fault. */
export class RunError extends Error {
  override readonly name = 'RunError';
  /** Path inside the run, or null when the directory itself is at fault. */
  readonly file: string | null;
  readonly field: string | null;

  constructor(message: string, at: { file?: string; field?: string } = {}, options?: ErrorOptions) {
    super(message, options);
    this.file = at.file ?? null;
    this.field = at.field ?? null;
  }
}
