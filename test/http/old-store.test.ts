import { join } from 'node:path';
import test from 'ava';
import { connectSqlite } from '../../src/registry/connect.ts';
import { oldStoreSuite } from '../suites/old-store.ts';
import { writeOldRegistry } from '../support/old-store.ts';
import { startTestService } from '../support/service.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';

oldStoreSuite(test, {
  name: 'SQLite and folder',
  async open(t, store) {
    const dataDir = await tempFolder(t);
    const files = Object.entries(store.files).map(([path, bytes]) => [path, Buffer.from(bytes, 'latin1')]);
    await writeTree(dataDir, Object.fromEntries(files));
    const db = connectSqlite(join(dataDir, 'registry.sqlite'));
    await writeOldRegistry(db, store);
    await db.destroy();
    const service = await startTestService({ dataDir });
    t.teardown(() => service.dispose());
    return service;
  },
});
