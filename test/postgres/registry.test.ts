import test from 'ava';
import { registrySuite } from '../suites/registry.ts';
import { COLLATIONS, type Collation, POSTGRES } from '../support/postgres.ts';
import { postgresRegistries } from '../support/registries.ts';
import { required } from '../support/required.ts';

const postgres = await required('The registry suite on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());
  for (const collation of Object.keys(COLLATIONS) as Collation[]) {
    registrySuite(test, {
      name: `PostgreSQL, collation ${collation}`,
      open: (t) => postgresRegistries(t, postgres, collation),
    });
  }
}
