import { Worker } from 'node:worker_threads';
import { type Binding, unpackRows } from './row-pack.ts';
import type { FromSqlite, ToSqlite } from './sqlite-worker.ts';

export type SqlOutcome =
  | { rows: Array<Record<string, unknown>> }
  | { changes: number; lastInsertRowid: number | bigint };

interface Waiting {
  resolve: (outcome: SqlOutcome) => void;
  reject: (error: Error) => void;
}

/**
 * A connection to a SQLite file, in a thread of its own: neither a statement nor the sync of a COMMIT keeps the service from
 * anything else. Statements run one after the other.
 */
export class SqliteThread {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #ended: Error | null = null;
  #inTransaction = false;
  #begins = false;

  private constructor() {
    // Beside this module, which is .ts in a checkout and .js in dist/.
    const file = import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js';
    this.#worker = new Worker(new URL(file, import.meta.url));
    this.#worker.on('message', (answer: FromSqlite) => this.#take(answer));
    this.#worker.on('error', (error: Error) => this.#end(error));
    this.#worker.on('exit', () => this.#end(new Error('The thread of the registry ended.')));
  }

  /** @param file `:memory:` for one that ends with its connection @throws what SQLite says, with its code */
  static async open(file: string): Promise<SqliteThread> {
    const thread = new SqliteThread();
    try {
      await thread.#ask({ open: file });
      return thread;
    } catch (error) {
      await thread.#terminate();
      throw error;
    }
  }

  /** As of the last statement that was answered. */
  get inTransaction(): boolean {
    return this.#inTransaction;
  }

  /** A transaction begins with the next statement: two on one way. */
  begin(): void {
    this.#begins = true;
  }

  /** @returns whether no statement had come since `begin`, which is taken back */
  dropBegin(): boolean {
    const waiting = this.#begins;
    this.#begins = false;
    return waiting;
  }

  get isUsable(): boolean {
    return this.#ended === null;
  }

  /** @throws what SQLite says, with its code */
  run(sql: string, bindings: readonly Binding[] = []): Promise<SqlOutcome> {
    const begin = this.#begins;
    this.#begins = false;
    return this.#ask({ sql, bindings: bindings.map(ownBytes), begin });
  }

  /** What the log holds is in the file when it returns. */
  async close(): Promise<void> {
    if (this.#ended === null) await this.#ask({ close: true });
    await this.#terminate();
  }

  #ask(message: ToSqlite): Promise<SqlOutcome> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      // Who waits for an answer keeps the process alive, an idle connection does not.
      this.#worker.ref();
      this.#worker.postMessage(message);
    });
  }

  #take(answer: FromSqlite): void {
    const waiting = this.#waiting.shift();
    this.#inTransaction = answer.inTransaction;
    if (this.#waiting.length === 0 && this.#ended === null) this.#worker.unref();
    if ('failed' in answer)
      waiting?.reject(Object.assign(new Error(answer.failed.message), { code: answer.failed.code }));
    else waiting?.resolve('rows' in answer ? { rows: unpackRows(answer.rows) } : answer);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }

  async #terminate(): Promise<void> {
    this.#end(new Error('The registry is closed.'));
    await this.#worker.terminate();
  }
}

/** A view would take the whole buffer along that it is a part of. */
function ownBytes(binding: Binding): Binding {
  return binding instanceof Uint8Array && binding.byteLength < binding.buffer.byteLength
    ? new Uint8Array(binding)
    : binding;
}
