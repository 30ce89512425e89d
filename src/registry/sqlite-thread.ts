import { Worker } from 'node:worker_threads';
import { type Binding, ownBytes, unpackRows } from './row-pack.ts';
import type { FromSqlite, SqlStatement, ToSqlite } from './sqlite-worker.ts';

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
  /** Why it answers no more. */
  #ended: string | null = null;
  #transaction: SqlStatement['transaction'] = null;

  private constructor() {
    // Beside this module, which is .ts in a checkout and .js in dist/.
    const file = import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js';
    this.#worker = new Worker(new URL(file, import.meta.url));
    this.#worker.on('message', (answer: FromSqlite) => this.#take(answer));
    this.#worker.on('error', (error: Error) => this.#end(error.message));
    this.#worker.on('exit', () => this.#end('its thread ended'));
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

  /** A transaction begins with the next statement: two on one way. */
  begin(): void {
    this.#transaction = 'begin';
  }

  /** @returns whether no statement had come since `begin`, which is taken back */
  dropBegin(): boolean {
    if (this.#transaction !== 'begin') return false;
    this.#transaction = null;
    return true;
  }

  get isUsable(): boolean {
    return this.#ended === null;
  }

  /**
   * @param readOnly refuses a statement that writes
   * @throws what SQLite says, with its code; REGISTRY_CLOSED when the thread has ended
   */
  run(sql: string, bindings: readonly Binding[] = [], readOnly = false): Promise<SqlOutcome> {
    const transaction = this.#transaction;
    if (transaction !== null) this.#transaction = ENDS_TRANSACTION.test(sql) ? null : 'within';
    return this.#ask({ sql, bindings: bindings.map(ownBytes), transaction, readOnly });
  }

  /** What the log holds is in the file when it returns. */
  async close(): Promise<void> {
    try {
      if (this.#ended === null) await this.#ask({ close: true });
    } finally {
      await this.#terminate();
    }
  }

  #ask(message: ToSqlite): Promise<SqlOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== null) throw unavailable(this.#ended);
      this.#worker.postMessage(message);
      this.#waiting.push({ resolve, reject });
      // Who waits for an answer keeps the process alive, an idle connection does not.
      this.#worker.ref();
    });
  }

  #take(answer: FromSqlite): void {
    const waiting = this.#waiting.shift();
    if (this.#waiting.length === 0 && this.#ended === null) this.#worker.unref();
    if ('failed' in answer) {
      const { message, code } = answer.failed;
      waiting?.reject(Object.assign(new Error(message), { code }));
    } else waiting?.resolve('rows' in answer ? { rows: unpackRows(answer.rows) } : answer);
  }

  #end(why: string): void {
    this.#ended ??= why;
    for (const { reject } of this.#waiting.splice(0)) reject(unavailable(this.#ended));
  }

  async #terminate(): Promise<void> {
    this.#end('it is closed');
    await this.#worker.terminate();
  }
}

/** What errors have as their code when no thread is there to answer. */
export const REGISTRY_CLOSED = 'REGISTRY_CLOSED';

function unavailable(why: string): Error {
  return Object.assign(new Error(why), { code: REGISTRY_CLOSED });
}

const ENDS_TRANSACTION = /^(commit|rollback);?$/i;
