import test from 'ava';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { registrySuite } from '../suites/registry.ts';
import { COLLATIONS, type Collation, POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';

const postgres = await required('The registry suite on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());
  for (const collation of Object.keys(COLLATIONS) as Collation[]) {
    registrySuite(test, {
      name: `PostgreSQL, collation ${collation}`,
      async open(t) {
        const url = await postgres.createDatabase(collation);
        const [one, two] = await Promise.all([openRegistry(connectPostgres(url)), openRegistry(connectPostgres(url))]);
        const db = connectPostgres(url);
        t.teardown(() => Promise.all([one.close(), two.close(), db.destroy()]).then(() => {}));
        return [one, two, db];
      },
    });
  }
}
