import test from 'ava';
import { SCOPES } from '../../src/core/scopes.ts';
import { createPackage } from '../../src/usecases/create-package.ts';
import type { Caller } from '../../src/usecases/services.ts';
import { racesSuite } from '../suites/http/races.ts';
import { apiOf } from '../support/api.ts';
import { onPostgres } from '../support/postgres-service.ts';

await onPostgres('races', (start) => {
  racesSuite(start);

  test('whoever finds an external id free, while another package of it is made and finalized, gets that one', async (t) => {
    const service = await start();
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    const fields = { name: 'n', producer: 'overtaken', external_id: 'run' };
    const { registry } = service.services;
    let first = '';
    // As a replica that freezes between the look and the insert, in which SQLite lets nobody write.
    const late: typeof registry.transaction = (work) =>
      registry.transaction((tables) => {
        const findOpen: typeof tables.packages.findOpen = async (...named) => {
          const found = await tables.packages.findOpen(...named);
          if (first === '') first = await api.preserve({ a: 'overtakes' }, fields);
          return found;
        };
        return work({ ...tables, packages: { ...tables.packages, findOpen } });
      });
    const caller: Caller = { actor: 'late', reads: { all: true }, scopes: SCOPES };
    const services = { ...service.services, registry: { ...registry, read: registry.read, transaction: late } };
    const { pkg, created } = await createPackage(services, caller, fields);
    t.deepEqual([pkg.id, created], [first, false] as unknown as [typeof pkg.id, boolean]);
    t.is((await api.get('/v1/packages?producer=overtaken')).body.items.length, 1);
    t.is((await api.post('/v1/packages', { ...fields, supersedes: first })).status, 201, 'it can be revised');
  });
});
