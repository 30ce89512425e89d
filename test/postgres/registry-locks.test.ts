import test from 'ava';
import { registryLocksSuite } from '../suites/registry-locks.ts';
import { POSTGRES } from '../support/postgres.ts';
import { postgresRegistries } from '../support/registries.ts';
import { required } from '../support/required.ts';

const postgres = await required('The registry suite of locks on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());
  registryLocksSuite(test, { name: 'PostgreSQL', open: (t) => postgresRegistries(t, postgres) });
}
