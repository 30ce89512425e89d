import test from 'ava';
import { registrySweepSuite } from '../suites/registry-sweep.ts';
import { POSTGRES } from '../support/postgres.ts';
import { postgresRegistries } from '../support/registries.ts';
import { required } from '../support/required.ts';

const postgres = await required('The registry suite of the sweep on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());
  registrySweepSuite(test, { name: 'PostgreSQL', open: (t) => postgresRegistries(t, postgres) });
}
