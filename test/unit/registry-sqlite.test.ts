import { join } from 'node:path';
import test from 'ava';
import { connectSqlite } from '../../src/registry/connect.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { registrySuite } from '../suites/registry.ts';
import { tempFolder } from '../support/temp.ts';

registrySuite(test, {
  name: 'SQLite',
  async open(t) {
    const registry = await openRegistry(connectSqlite(join(await tempFolder(t), 'registry.sqlite')));
    t.teardown(() => registry.close());
    // Two of one process would block each other: the driver waits for a lock without letting anybody else go on.
    return [registry, registry];
  },
});
