import { chmod, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { PackageId } from '../../src/core/ids.ts';
import type { LogicalPath } from '../../src/core/logical-path.ts';
import { SCOPES } from '../../src/core/scopes.ts';
import type { Tables } from '../../src/registry/registry.ts';
import { createToken, revokeToken } from '../../src/usecases/api-tokens.ts';
import { checkObject } from '../../src/usecases/check-object.ts';
import { createPackage } from '../../src/usecases/create-package.ts';
import { damagedItems } from '../../src/usecases/damaged-files.ts';
import { type Caller, SYSTEM } from '../../src/usecases/services.ts';
import { createShare, revokeShare } from '../../src/usecases/shares.ts';
import { createWebhook, removeWebhook, rotateWebhookSecret } from '../../src/usecases/webhooks.ts';
import { apiOf } from '../support/api.ts';
import { onPostgres, STALLS } from '../support/postgres-service.ts';
import type { TestService } from '../support/service.ts';

const by = (actor: string): Caller => ({ actor, reads: { all: true }, scopes: SCOPES });
const HOOK = { url: 'http://127.0.0.1:9/hook', format: 'cloudevents' } as const;

/** A replica that stalls after the first `get` of a table in a transaction, until `meanwhile` has happened. */
function stalling(
  { services }: TestService,
  table: 'shares' | 'apiTokens' | 'webhooks',
  meanwhile: () => Promise<unknown>,
): TestService['services'] {
  const { registry } = services;
  let stalled = false;
  const get = (own: (id: never) => Promise<unknown>) => async (id: never) => {
    const found = await own(id);
    if (!stalled) {
      stalled = true;
      await meanwhile();
    }
    return found;
  };
  const transaction: typeof registry.transaction = (work) =>
    registry.transaction((tables) => {
      const own = tables[table];
      return work({ ...tables, [table]: { ...own, get: get(own.get as (id: never) => Promise<unknown>) } } as Tables);
    });
  return { ...services, registry: { ...registry, read: registry.read, transaction } };
}

/** What one replica has read, another one changes before the first one writes. */
await onPostgres(
  'stalled replicas',
  (start) => {
    async function place(t: ExecutionContext): Promise<TestService> {
      const service = await start({ env: { ARTIFACT_STORE_WEBHOOK_ALLOW: '127.0.0.0/8' } });
      t.teardown(() => service.dispose());
      return service;
    }

    async function actorsOf({ services }: TestService, action: string): Promise<string[]> {
      const { events } = await services.registry.read.audit.page({ action }, { all: true }, 0, 100);
      return events.map(({ actor }) => actor);
    }

    test('whoever finds an external id free, while another package of it is made and finalized, gets that one', async (t) => {
      const service = await place(t);
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
      const services = { ...service.services, registry: { ...registry, read: registry.read, transaction: late } };
      const { pkg, created } = await createPackage(services, by('late'), fields);
      t.deepEqual([pkg.id, created], [first, false] as unknown as [typeof pkg.id, boolean]);
      t.is((await api.get('/v1/packages?producer=overtaken')).body.items.length, 1);
      t.is((await api.post('/v1/packages', { ...fields, supersedes: first })).status, 201, 'it can be revised');
    });

    test('a share is revoked once, whoever else has seen it living', async (t) => {
      const service = await place(t);
      const { services } = service;
      const id = (await apiOf(service.url).preserve({ a: 'a' })) as PackageId;
      const { record } = await createShare(services, by('maker'), id, {});
      const slow = stalling(service, 'shares', () => revokeShare(services, by('fast'), record.id, null));
      t.is((await revokeShare(slow, by('slow'), record.id, null)).revoked_by, 'fast');
      t.deepEqual(await actorsOf(service, 'share.revoked'), ['fast']);
    });

    test('so is a token', async (t) => {
      const service = await place(t);
      const { services } = service;
      const { record } = await createToken(services, by('maker'), { name: 'x', scopes: ['packages:read'] });
      const slow = stalling(service, 'apiTokens', () => revokeToken(services, by('fast'), record.id, null));
      t.is((await revokeToken(slow, by('slow'), record.id, null)).revoked_by, 'fast');
      t.deepEqual(await actorsOf(service, 'token.revoked'), ['fast']);
    });

    test('a webhook is removed once', async (t) => {
      const service = await place(t);
      const { services } = service;
      const { webhook } = await createWebhook(services, by('maker'), HOOK);
      const slow = stalling(service, 'webhooks', () => removeWebhook(services, by('fast'), webhook.id, null));
      await t.throwsAsync(removeWebhook(slow, by('slow'), webhook.id, null), { code: 'webhook_not_found' });
      t.deepEqual(await actorsOf(service, 'webhook.removed'), ['fast']);
    });

    test('a secret that was rotated away does not come back', async (t) => {
      const service = await place(t);
      const { services } = service;
      const { webhook } = await createWebhook(services, by('maker'), HOOK);
      const rotate = () => rotateWebhookSecret(services, by('fast'), webhook.id);
      const given: string[] = [];
      const slow = stalling(service, 'webhooks', async () =>
        given.push((await rotate()).secret, (await rotate()).secret),
      );
      given.push((await rotateWebhookSecret(slow, by('slow'), webhook.id)).secret);
      t.is(new Set(given).size, 3);
      t.is((await services.registry.read.webhooks.get(webhook.id))?.secret_no, webhook.secret_no + 3);
    });

    test('a reading that found good bytes says nothing about what a later one found', async (t) => {
      const service = await place(t);
      const { services, dataDir } = service;
      const { registry } = services;
      const id = (await apiOf(service.url).preserve({ a: 'some bytes' })) as PackageId;
      const [at] = await registry.read.files.locate(id, ['a' as LogicalPath]);
      const [object] = await registry.read.checks.getAmong([at?.object_id ?? '']);
      if (!object) return t.fail();
      const name = (await readdir(dataDir, { recursive: true })).find((each) => each.endsWith(object.key));
      const file = join(dataDir, name ?? '');
      let stalled = false;
      const transaction: typeof registry.transaction = (work) =>
        registry.transaction((tables) => {
          const recordGood: typeof tables.checks.recordGood = async (...args) => {
            stalled = true;
            await chmod(file, 0o600);
            await writeFile(file, Buffer.alloc((await stat(file)).size, 'x'));
            t.is((await checkObject(services, SYSTEM, object, async () => {})).result, 'damaged');
            return tables.checks.recordGood(...args);
          };
          return work({ ...tables, checks: { ...tables.checks, recordGood } });
        });
      const slow = { ...services, registry: { ...registry, read: registry.read, transaction } };
      await checkObject(slow, SYSTEM, object, async () => {});
      t.true(stalled);
      t.is((await damagedItems(registry.read, id, 10)).items.length, 1, 'the damage is still told');
    });
  },
  STALLS,
);
