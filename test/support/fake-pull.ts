import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { ApiClient } from '../../cli/client/api/api-client.ts';
import { pullPackage } from '../../cli/client/pull/pull.ts';
import { verifyPackage } from '../../cli/client/pull/verify.ts';
import type { CliError } from '../../cli/errors.ts';
import { type FakeFile, type FakeOptions, startFakeStore } from './fake-store.ts';
import { tempFolder } from './temp.ts';
import { readTree, writeTree } from './tree.ts';

/** A finalized package of a fake store, and a folder to pull it into. */
export async function placeFakePackage(t: ExecutionContext, files: FakeFile[], options: FakeOptions = {}) {
  const folder = await tempFolder(t);
  const store = await startFakeStore(files, { finalized: true, ...options });
  const signal = new AbortController().signal;
  const client = new ApiClient({ url: store.url, token: null, signal, userAgent: 'tests' });
  t.teardown(async () => {
    client.close();
    await store.close();
  });
  const copy = join(folder, 'copy');
  const named = Object.fromEntries(files.map(({ path, bytes }) => [path, bytes]));
  const expected = await readTree(await writeTree(join(folder, 'expected'), named));
  const pkg = () => client.getPackage(store.packageId);
  return {
    folder,
    copy,
    store,
    expected,
    pull: async (glob?: string) => pullPackage(client, await pkg(), { directory: copy, glob, parallel: 2 }),
    verify: async () => verifyPackage(client, await pkg()),
    /** Nothing but the package's files is there. */
    arrived: async () => {
      t.deepEqual(await readTree(copy), expected);
      t.false((await readdir(copy)).some((name) => name.startsWith('.')));
    },
  };
}

/** The files that the error names. */
export function failedPaths(error: CliError | undefined): string[] {
  const failures = error?.extras.failures as Array<{ path: string }> | undefined;
  return (failures ?? []).map(({ path }) => path);
}
