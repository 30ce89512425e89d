import test from 'ava';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { registryLocksSuite } from '../suites/registry-locks.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';

const postgres = await required('The registry suite of locks on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());
  registryLocksSuite(test, {
    name: 'PostgreSQL',
    async open(t) {
      const url = await postgres.createDatabase();
      const [one, two] = await Promise.all([openRegistry(connectPostgres(url)), openRegistry(connectPostgres(url))]);
      const db = connectPostgres(url);
      t.teardown(() => Promise.all([one.close(), two.close(), db.destroy()]).then(() => {}));
      return [one, two, db];
    },
  });
}
