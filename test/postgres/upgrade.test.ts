import test from 'ava';
import { connectPostgres } from '../../src/registry/connect-postgres.ts';
import { upgradeSuite } from '../suites/upgrade.ts';
import { POSTGRES } from '../support/postgres.ts';
import { required } from '../support/required.ts';

const postgres = await required('Upgrading a registry on PostgreSQL', POSTGRES);
if (postgres !== null) {
  test.after.always('stop PostgreSQL', () => postgres.close());
  upgradeSuite(test, {
    name: 'PostgreSQL',
    async connect() {
      const url = await postgres.createDatabase();
      return [connectPostgres(url), connectPostgres(url), url];
    },
  });
}
