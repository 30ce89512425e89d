import { CliError, EXIT } from './errors.ts';
import { printable } from './format.ts';
import { type ProgressReport, type ProgressView, startProgress } from './progress.ts';
import { type Sink, type StdStream, sinkOf } from './sink.ts';
import { renderText, type Text } from './text.ts';

export interface OutputOptions {
  json: boolean;
  quiet: boolean;
  stdout: StdStream;
  stderr: NodeJS.WriteStream;
}

const BAR_INTERVAL_MS = 120;
const LINE_INTERVAL_MS = 3_000;
/** Whoever reads JSON keeps stderr as a log. */
const LOG_INTERVAL_MS = 10_000;

/** The reader of stdout closed the pipe (`| head`): the work ends early, and that is not an error. */
export class ReaderGone extends Error {
  override readonly name = 'ReaderGone';
}

/**
 * Where a verb may write. Results go to stdout, by `main`, from the verb's outcome; everything else goes to stderr, so
 * that with --json stdout holds one document and nothing else.
 */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly stdout: NodeJS.WriteStream;
  readonly #sink: Sink;
  readonly #stderr: NodeJS.WriteStream;
  #progress: ProgressView | null = null;

  constructor({ json, quiet, stdout, stderr }: OutputOptions) {
    this.json = json;
    this.quiet = quiet;
    this.stdout = stdout;
    this.#sink = sinkOf(stdout);
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

  /** A bar on a terminal, a line now and then elsewhere, less often with --json; nothing with --quiet. */
  progress(report: () => ProgressReport): ProgressView {
    this.#progress?.end();
    const interval = this.#stderr.isTTY ? BAR_INTERVAL_MS : this.json ? LOG_INTERVAL_MS : LINE_INTERVAL_MS;
    this.#progress = startProgress(this.quiet ? null : this.#stderr, report, interval);
    return this.#progress;
  }

  endProgress(): void {
    this.#progress?.end();
    this.#progress = null;
  }

  /** To stdout, waiting while the reader is slow. @throws ReaderGone; CliError output_failed */
  async write(chunk: string | Uint8Array): Promise<void> {
    await this.#sink.write(chunk).catch(refused);
  }

  /** After the last write: only now everything is out. @throws CliError output_failed */
  async end(): Promise<void> {
    await this.#sink.close().catch(refused);
  }

  /** What was written to stderr has left this process, or cannot. */
  async flushNotes(): Promise<void> {
    await new Promise<void>((resolve) => this.#stderr.write('', () => resolve()));
  }

  #line(text: string): void {
    this.#progress?.clear();
    this.#stderr.write(`${text}\n`);
  }
}

const GONE: ReadonlySet<string | undefined> = new Set(['EPIPE', 'ECONNRESET', 'ERR_STREAM_DESTROYED']);

function refused(error: NodeJS.ErrnoException): never {
  if (GONE.has(error.code)) throw new ReaderGone();
  throw new CliError(`stdout cannot be written: ${error.message}.`, {
    exit: EXIT.failed,
    code: 'output_failed',
    next: 'What was written there is incomplete, so do not use it. Run the command again where there is enough space.',
    cause: error,
  });
}
