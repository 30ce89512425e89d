import { join } from 'node:path';
import test from 'ava';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { registryLocksSuite } from '../suites/registry-locks.ts';
import { tempFolder } from '../support/temp.ts';

registryLocksSuite(test, {
  name: 'SQLite',
  async open(t) {
    const file = join(await tempFolder(t), 'registry.sqlite');
    const one = await openRegistry(connectSqlite(file));
    const two = await openRegistry(connectSqlite(file));
    const db = connectSqlite(file);
    t.teardown(() => Promise.all([one.close(), two.close(), db.destroy()]));
    return [one, two, db];
  },
});
