import test from 'ava';
import { StoreError } from '../../src/core/errors.ts';
import type { StoreId } from '../../src/core/store-identity.ts';
import { openLog } from '../../src/log.ts';
import { storeIdentification } from '../../src/store-identification.ts';
import { StoreRefusedError } from '../../src/usecases/identify-store.ts';

const ID = 'sto_ours' as StoreId;
const AT_ONCE = 1;
const LOG = openLog('silent');

test('as long as storage does not answer, the store is not owned; once it does, it is', async (t) => {
  let answers = false;
  const identify = async (): Promise<StoreId> => {
    if (!answers) throw new StoreError('unavailable', 'ETIMEDOUT');
    return ID;
  };
  const identification = storeIdentification(identify, LOG, AT_ONCE);
  await identification.begin(null);
  t.is(identification.id(), null);
  t.throws(() => identification.assertOwned(), { code: 'unavailable', message: /not known yet.*\(ETIMEDOUT\)/ });
  const settled = identification.settle(new AbortController().signal);
  answers = true;
  await settled;
  t.is(identification.id(), ID);
  t.notThrows(() => identification.assertOwned());
});

test('a store that turns out to be another’s is refused at the beginning, and later', async (t) => {
  const refusal = new StoreRefusedError('foreign_store', 'not ours');
  const first = storeIdentification(() => Promise.reject(refusal), LOG);
  t.is(await t.throwsAsync(first.begin(null)), refusal);

  let answer = Promise.reject<StoreId>(new StoreError('unavailable', 'later'));
  const later = storeIdentification(() => answer, LOG, AT_ONCE);
  await later.begin(null);
  answer = Promise.reject(refusal);
  await later.settle(new AbortController().signal);
  t.is(await later.refused, refusal);
  t.throws(() => later.assertOwned(), { code: 'unavailable' });
});

test('a store that never answers holds up neither the start nor the end', async (t) => {
  const identification = storeIdentification(() => new Promise(() => {}), LOG, AT_ONCE);
  await identification.begin(1);
  const ending = new AbortController();
  const settled = identification.settle(ending.signal);
  ending.abort();
  await settled;
  t.is(identification.id(), null);
});
