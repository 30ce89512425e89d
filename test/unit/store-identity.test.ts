import test from 'ava';
import { judgeStore, parseStore, type StoreFacts, type StoreId, storeBytes } from '../../src/core/store-identity.ts';

const OURS = `sto_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}` as StoreId;
const THEIRS = `sto_${'1'.repeat(12)}7${'1'.repeat(3)}8${'1'.repeat(15)}` as StoreId;

const NEW: StoreFacts = {
  registryId: null,
  storageId: null,
  registryInUse: false,
  registryHolds: false,
  hasPackages: false,
  hasAnything: false,
  hasSample: false,
};

/** Every combination that can be seen. */
function allFacts(): StoreFacts[] {
  const both = [false, true];
  const all: StoreFacts[] = [];
  for (const registryId of [null, OURS])
    for (const storageId of [null, OURS, THEIRS, 'foreign' as const])
      for (const registryInUse of both)
        for (const registryHolds of both)
          for (const hasPackages of both)
            for (const hasAnything of both)
              for (const hasSample of both) {
                if (registryHolds && !registryInUse) continue;
                if (hasPackages && !hasAnything) continue;
                if (hasSample && !(registryInUse && hasAnything)) continue;
                all.push({ registryId, storageId, registryInUse, registryHolds, hasPackages, hasAnything, hasSample });
              }
  return all;
}

const REFUSALS = ['foreign_store', 'empty_store', 'registry_lost'];

test('a new registry and a new store get an id; what lacks it takes the other’s', (t) => {
  t.is(judgeStore(NEW), 'give');
  t.is(judgeStore({ ...NEW, storageId: THEIRS }), 'take', 'a start that was killed, of a registry that is gone');
  t.is(judgeStore({ ...NEW, registryId: OURS }), 'give', 'a start that was killed between the two');
  const used = { ...NEW, registryInUse: true, registryHolds: true, hasAnything: true, hasSample: true };
  t.is(judgeStore(used), 'give', 'both from before there were ids');
  t.is(judgeStore({ ...used, storageId: THEIRS }), 'take', 'a backup of the registry from before there were ids');
  t.is(judgeStore({ ...used, registryId: OURS }), 'give', 'the mark was lost');
  const begun = { ...NEW, registryInUse: true, hasAnything: true };
  t.is(judgeStore(begun), 'foreign_store');
  t.is(judgeStore({ ...begun, hasSample: true }), 'give', 'pushes that were begun before there were ids');
});

test('what does not belong together is refused by what it is', (t) => {
  t.is(judgeStore({ ...NEW, registryId: OURS, storageId: THEIRS }), 'foreign_store');
  t.is(judgeStore({ ...NEW, hasAnything: true }), 'registry_lost');
  t.is(judgeStore({ ...NEW, storageId: THEIRS, hasAnything: true, hasPackages: true }), 'registry_lost');
  const used = { ...NEW, registryId: OURS, registryInUse: true, registryHolds: true };
  t.is(judgeStore(used), 'empty_store');
  t.is(judgeStore({ ...used, storageId: OURS }), 'empty_store', 'all but the mark is gone');
  t.is(judgeStore({ ...used, hasAnything: true }), 'foreign_store');
  const restored = { ...NEW, registryId: OURS, storageId: OURS, hasAnything: true, hasPackages: true };
  t.is(judgeStore(restored), 'registry_lost', 'a backup of the registry from before its first package');
});

test('of all that can be seen: other ids, an empty half and what nobody knows are never worked on', (t) => {
  for (const facts of allFacts()) {
    const verdict = judgeStore(facts);
    const told = JSON.stringify({ ...facts, verdict });
    const { registryId, storageId, registryHolds, registryInUse, hasPackages, hasAnything, hasSample } = facts;
    const refused = REFUSALS.includes(verdict);
    if (storageId === 'foreign' || (registryId && storageId && registryId !== storageId)) t.true(refused, told);
    if (registryHolds && !hasAnything) t.true(refused, told);
    if (!registryInUse && hasPackages) t.true(refused, told);
    if (registryId === null && !registryInUse && hasAnything) t.true(refused, told);
    if ((registryId === null || storageId === null) && registryHolds && !hasSample) t.true(refused, told);
    if (verdict === 'take') t.true(registryId !== storageId && storageId !== null, told);
    if (verdict === 'give') t.is(storageId, null, told);
    if (verdict === 'same') t.is(registryId, storageId as StoreId, told);
  }
});

test('a store’s mark is read back, and nothing else is one', (t) => {
  t.is(parseStore(storeBytes(OURS)), OURS);
  for (const text of ['', '{}', 'null', '[1]', `{"id":"${OURS}"}`, storeBytes('sto_1' as StoreId).toString()])
    t.is(parseStore(Buffer.from(text)), null, text);
});
