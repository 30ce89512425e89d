import test from 'ava';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { registrySweepSuite } from '../suites/registry-sweep.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';

const postgres = await required('The registry suite of the sweep on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());
  registrySweepSuite(test, {
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
