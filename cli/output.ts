import { printable } from './format.ts';
import { type ProgressReport, type ProgressView, startProgress } from './progress.ts';
import { renderText, type Text } from './text.ts';

export interface OutputOptions {
  json: boolean;
  quiet: boolean;
  stdout: NodeJS.WriteStream;
  stderr: NodeJS.WriteStream;
}

/**
 * Where a verb may write. Results go to stdout, by `main`, from the verb's outcome; everything else goes to stderr, so
 * that with --json stdout holds one document and nothing else.
 */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;
  #progress: ProgressView | null = null;

  constructor({ json, quiet, stdout, stderr }: OutputOptions) {
    this.json = json;
    this.quiet = quiet;
    this.stdout = stdout;
    this.#stderr = stderr;
  }

  /** News for people, one line; silent with --quiet. */
  note(text: string): void {
    if (!this.quiet) this.#line(printable(text));
  }

  /** What must be seen, also with --quiet; one line. */
  warn(text: string): void {
    this.#line(printable(text));
  }

  /** Why the verb ended without its result; of any number of lines. */
  error(text: Text): void {
    this.#line(renderText(text, false));
  }

  /** A bar on a terminal, a line now and then elsewhere; nothing with --quiet, nor with --json but on a terminal. */
  progress(report: () => ProgressReport): ProgressView {
    this.#progress?.end();
    const shown = !this.quiet && (this.#stderr.isTTY || !this.json);
    this.#progress = startProgress(shown ? this.#stderr : null, report);
    return this.#progress;
  }

  endProgress(): void {
    this.#progress?.end();
    this.#progress = null;
  }

  /** To stdout, waiting while the reader is slow. A reader that went away (`| head`) is no error. */
  async write(chunk: string | Uint8Array): Promise<void> {
    if (this.stdout.destroyed) return;
    await new Promise<void>((resolve) => this.stdout.write(chunk, () => resolve()));
  }

  #line(text: string): void {
    this.#progress?.clear();
    this.#stderr.write(`${text}\n`);
  }
}
