import test from 'ava';
import { ownedStore } from '../../src/blobs/owned-store.ts';
import { StoreError } from '../../src/core/errors.ts';
import { openFolderHarness } from '../support/folder-harness.ts';
import { tempFolder } from '../support/temp.ts';

/** What tells nothing that could be taken for the truth about the registry's objects, and changes nothing. */
const HARMLESS = ['signDownload', 'delivery'];

test('as long as it is not known whose the store is, nothing is asked of it or done to it', async (t) => {
  const { store, close } = await openFolderHarness(await tempFolder(t));
  t.teardown(close);
  let owned = false;
  const guarded = ownedStore(store, () => {
    if (!owned) throw new StoreError('unavailable', 'not known yet');
  });
  for (const half of ['uploads', 'objects'] as const) {
    for (const [name, real] of Object.entries(store[half])) {
      if (HARMLESS.includes(name)) continue;
      const method = guarded[half][name as keyof (typeof guarded)[typeof half]] as unknown;
      t.not(method, real, name);
      const first = async (): Promise<unknown> => {
        const answer = (method as (...args: unknown[]) => unknown)();
        return answer instanceof Promise ? answer : (answer as AsyncGenerator).next();
      };
      await t.throwsAsync(first(), { code: 'unavailable', message: 'not known yet' }, name);
    }
  }
  owned = true;
  const seen: unknown[] = [];
  for await (const object of guarded.objects.list('')) seen.push(object);
  t.deepEqual(seen, []);
});
