import { join } from 'node:path';
import test from 'ava';
import { sharedServer, shareServers } from '../support/shared-servers.ts';
import { tempFolder } from '../support/temp.ts';

test.serial('a shared server starts at the first request, is given to all, and stops at the end', async (t) => {
  let running = 0;
  let started = 0;
  const offer = {
    async start() {
      started += 1;
      running += 1;
      return {
        place: { port: 17 },
        async stop() {
          running -= 1;
        },
      };
    },
  };
  const missing = {
    async start(): Promise<never> {
      throw new Error('radosgw not found');
    },
  };
  const { ARTIFACT_STORE_TEST_SERVERS: ours, ...rest } = process.env;
  process.env = rest;
  t.teardown(() => {
    process.env = { ...rest, ...(ours === undefined ? {} : { ARTIFACT_STORE_TEST_SERVERS: ours }) };
  });
  t.is(await sharedServer('ceph'), null, 'a test file that is run alone starts its own');
  const servers = await shareServers(join(await tempFolder(t), 'servers'), { ceph: offer, postgres: missing });
  Object.assign(process.env, servers.env);
  t.is(started, 0, 'nobody has asked yet');
  t.deepEqual(await Promise.all([sharedServer('ceph'), sharedServer('ceph')]), [{ port: 17 }, { port: 17 }]);
  t.is(started, 1);
  for (let n = 0; n < 2; n++) {
    await t.throwsAsync(
      sharedServer('postgres'),
      { message: 'radosgw not found' },
      'each file says why it does not run',
    );
  }
  await t.throwsAsync(sharedServer('minio'), { message: 'minio was answered with 404' });
  await servers.close();
  t.is(running, 0);
});
