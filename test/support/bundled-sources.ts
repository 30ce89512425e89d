import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { nameSources } from '../../cli/source-stacks.ts';

/** A folder that the processes of a run share, from `test/run.ts`. */
export const BUNDLED_VARIABLE = 'ARTIFACT_STORE_TEST_BUNDLED';
export const INDEX = 'index.json';

/** By the names that sources and tests import. */
export const BUNDLED_PACKAGES = [
  'knex',
  'knex/lib/dialects/better-sqlite3/index.js',
  'knex/lib/dialects/postgres/index.js',
  'knex/lib/dialects/sqlite3/execution/sqlite-transaction.js',
  'zod',
  'zod/mini',
  'zod/v4/locales/en.js',
  'koa',
  'koa-body',
  '@koa/router',
  'pg',
  'pino',
  'prom-client',
  'got',
  'commander',
  '@aws-sdk/client-s3',
  '@aws-sdk/s3-request-presigner',
  '@smithy/signature-v4',
  'minio',
  'fast-check',
] as const;

/** Node's arguments for a process that has this one's environment, and itself knows nothing of the bundle. */
export function bundledArgs(): string[] {
  return process.env[BUNDLED_VARIABLE] ? ['--import', new URL('load-bundled.ts', import.meta.url).href] : [];
}

/** For the environment of such a process that has not this one's. */
export function bundledEnv(): Record<string, string> {
  const { [BUNDLED_VARIABLE]: folder } = process.env;
  return folder ? { [BUNDLED_VARIABLE]: folder } : {};
}

/** From now on sources and packages are loaded from what `bundleSources` made; without a run, each as it is. */
export default function loadBundled(): void {
  const folder = process.env[BUNDLED_VARIABLE];
  if (!folder) return;
  const files: Array<[string, string]> = JSON.parse(readFileSync(join(folder, INDEX), 'utf8'));
  const bundled = new Map(files.map(([name, file]) => [name, pathToFileURL(join(folder, file)).href]));
  nameSources();
  registerHooks({
    resolve(specifier, context, next) {
      const name = specifier.startsWith('.') ? new URL(specifier, context.parentURL).href : specifier;
      const url = bundled.get(name);
      return url === undefined ? next(specifier, context) : { url, format: 'module', shortCircuit: true };
    },
  });
}
