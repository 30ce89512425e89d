import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { migrate } from '../../src/registry/migrate.ts';
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
  /** One with this version's schema, which a service need not migrate: a copy of one that was migrated once. @returns its URL */
  createMigrated(): Promise<string>;
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

function newName(): string {
  return `artifact_store_test_${randomBytes(8).toString('hex')}`;
}

/**
 * @param own what is stopped at the end; null: others use the server too
 * @param shared the database that is migrated once and copied, which others have too and nobody drops
 */
async function postgresAt(admin: string, own: PostgresProcess | null, shared?: string): Promise<Postgres> {
  const migrated = shared ?? newName();
  const made = shared === undefined ? [migrated] : [];
  await execute(admin, 'select 1');
  function urlOf(name: string): string {
    const url = new URL(admin);
    url.pathname = `/${name}`;
    return url.href;
  }
  async function create(name: string, collation: Collation): Promise<void> {
    await execute(admin, `create database ${name} template template0 encoding 'UTF8' ${COLLATIONS[collation]}`);
  }
  /** Whoever comes first makes it; all test files of a run have it. */
  const madeOnce = lazily(() =>
    inTurn(admin, async (client) => {
      const found = await client.query('select 1 from pg_database where datname = $1', [migrated]);
      if (found.rowCount !== 0) return;
      await create(migrated, 'en_US');
      const db = connectPostgres(urlOf(migrated));
      await migrate(db).finally(() => db.destroy());
      // Nobody else connects to it, autovacuum neither: PostgreSQL copies no database that is in use.
      await client.query(`alter database ${migrated} allow_connections false`);
    }),
  );
  return {
    async createDatabase(collation = 'en_US') {
      const name = newName();
      await create(name, collation);
      made.push(name);
      return urlOf(name);
    },
    async createMigrated() {
      await madeOnce();
      const name = newName();
      await execute(admin, `create database ${name} template ${migrated}`);
      made.push(name);
      return urlOf(name);
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
    return place === null ? startPostgres() : postgresAt(adminUrl(place.port), null, 'artifact_store_migrated');
  },
};

export const SHARED_POSTGRES: Offer = {
  async start() {
    const { port, stop } = await startPostgresProcess();
    return { place: { port }, stop };
  },
};

function execute(url: string, sql: string): Promise<unknown> {
  return connected(url, (client) => client.query(sql));
}

/** One after the other, in all processes that use the server. */
function inTurn(url: string, work: (client: pg.Client) => Promise<void>): Promise<void> {
  return connected(url, async (client) => {
    await client.query(`select pg_advisory_lock(hashtext('artifact-store tests'))`);
    await work(client);
  });
}

async function connected<Result>(url: string, work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

function lazily<Result>(make: () => Promise<Result>): () => Promise<Result> {
  let made: Promise<Result> | null = null;
  return () => {
    made ??= make();
    return made;
  };
}
