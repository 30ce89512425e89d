import { join } from 'node:path';
import test from 'ava';
import { connectSqlite } from '../../src/registry/connect-sqlite.ts';
import { upgradeSuite } from '../suites/upgrade.ts';
import { tempFolder } from '../support/temp.ts';

upgradeSuite(test, {
  name: 'SQLite',
  async connect(t) {
    const file = join(await tempFolder(t), 'registry.sqlite');
    return [connectSqlite(file), connectSqlite(file), file];
  },
});
