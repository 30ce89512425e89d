import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { type PostgresProcess, startPostgresProcess } from './postgres-process.ts';
import type { Requirement } from './required.ts';
import { type Offer, sharedServer } from './shared-servers.ts';

/**
 * How a database compares text. `en_US` is ICU's (`a < B < ä < z`), which the embedded build brings along whatever
 * locales the machine has.
 */
export const COLLATIONS = {
  C: `locale_provider libc locale 'C'`,
  en_US: `locale_provider icu icu_locale 'en-US' locale 'C'`,
} as const;
export type Collation = keyof typeof COLLATIONS;

export interface Postgres {
  /** An empty database of its own. @returns its URL */
  createDatabase(collation?: Collation): Promise<string>;
  /** Drops the databases, and stops the server if it is ours. */
  close(): Promise<void>;
}

export interface OwnPostgres extends Postgres {
  /** Null: a server that somebody else runs, which cannot be killed. */
  process: PostgresProcess | null;
}

/** The server of ARTIFACT_STORE_TEST_DATABASE_URL (as a role that may create databases), or one of our own. */
export async function startPostgres(): Promise<OwnPostgres> {
  const given = process.env.ARTIFACT_STORE_TEST_DATABASE_URL || null;
  const own = given === null ? await startPostgresProcess() : null;
  return { ...(await postgresAt(given ?? adminUrl(own?.port), own)), process: own };
}

/** @param own what is stopped at the end; null: others use the server too */
async function postgresAt(admin: string, own: PostgresProcess | null): Promise<Postgres> {
  const made: string[] = [];
  await execute(admin, 'select 1');
  return {
    async createDatabase(collation = 'en_US') {
      const name = `artifact_store_test_${randomBytes(8).toString('hex')}`;
      await execute(admin, `create database ${name} template template0 encoding 'UTF8' ${COLLATIONS[collation]}`);
      made.push(name);
      const url = new URL(admin);
      url.pathname = `/${name}`;
      return url.href;
    },
    async close() {
      if (own !== null) return own.stop();
      for (const name of made) await execute(admin, `drop database if exists ${name} with (force)`);
    },
  };
}

function adminUrl(port: number | undefined): string {
  return `postgres://postgres:secret@127.0.0.1:${port}/postgres`;
}

const NEED = {
  what: 'a PostgreSQL',
  how: 'Run `npm ci` with optional dependencies and install scripts, or set ARTIFACT_STORE_TEST_DATABASE_URL to the URL of a server on which the role may create databases.',
};

/** For test files that kill it. */
export const OWN_POSTGRES: Requirement<OwnPostgres> = { ...NEED, start: startPostgres };

/** For test files that only use databases of their own: one for all of them where `test/run.ts` runs them. */
export const POSTGRES: Requirement<Postgres> = {
  ...NEED,
  async start() {
    if (process.env.ARTIFACT_STORE_TEST_DATABASE_URL) return startPostgres();
    const place = await sharedServer<{ port: number }>('postgres');
    return place === null ? startPostgres() : postgresAt(adminUrl(place.port), null);
  },
};

export const SHARED_POSTGRES: Offer = {
  async start() {
    const { port, stop } = await startPostgresProcess();
    return { place: { port }, stop };
  },
};

async function execute(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
