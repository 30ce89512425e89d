import { hash } from 'node:crypto';
import { buffer, text } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import fc from 'fast-check';
import type { Knex } from 'knex';
import { checkpointKey, type ObjectKey } from '../../../src/blobs/key-layout.ts';
import { loadConfig } from '../../../src/config.ts';
import { canonicalJson } from '../../../src/core/canonical-json.ts';
import { readCheckpoint } from '../../../src/core/checkpoint.ts';
import { isConsistent, leafHash, rootOf } from '../../../src/core/merkle.ts';
import { SCOPES } from '../../../src/core/scopes.ts';
import { openNote } from '../../../src/core/signed-note.ts';
import { readPublicKey } from '../../../src/core/signing-key.ts';
import { openProof } from '../../../src/core/tlog-proof.ts';
import { parseBundle } from '../../../src/core/tlog-tiles.ts';
import { rebuildRegistry } from '../../../src/rebuild-registry.ts';
import { auditLog } from '../../../src/usecases/audit-log.ts';
import { proveEvent } from '../../../src/usecases/prove-event.ts';
import { readLogTile } from '../../../src/usecases/read-log.ts';
import type { AuditLog } from '../../../src/usecases/services.ts';
import { signingKey } from '../../../src/usecases/signing-keys.ts';
import { type Api, apiOf } from '../../support/api.ts';
import { type AuditRow, addEvents, auditRows, replaceAuditRows } from '../../support/audit-rows.ts';
import { logClientOf } from '../../support/log-client.ts';
import { loseRegistry, withRegistry } from '../../support/registry-content.ts';
import type { StartTestService, TestService } from '../../support/service.ts';
import { testOfService } from '../../support/service-suite.ts';

/** More than a tile, and than two. */
const MANY = 600;

/** The audit as a transparency log. */
export function auditLogSuite(startTestService: StartTestService): void {
  const test = testOfService(startTestService);

  async function place(t: ExecutionContext): Promise<{ service: TestService; api: Api }> {
    const service = await startTestService();
    t.teardown(() => service.dispose());
    return { service, api: apiOf(service.url) };
  }

  test('a checkpoint is a note that the service has signed, of all events in their order', async (t) => {
    const { service, api } = await place(t);
    t.is((await api.get('/v1/log')).body.checkpoint, null);
    await api.preserve({ a: 'kept' });
    const answer = await api.get('/v1/log/checkpoint');
    t.is(answer.status, 200);
    t.is(answer.headers.get('content-type'), 'text/plain; charset=utf-8');
    const note: string = answer.body;
    const { origin, size, root } = readCheckpoint(note);
    t.is(origin, `artifact-store/${service.services.storeId()}`);
    const events = await listEvents(api);
    t.is(size, events.length);
    t.true(root.equals(rootOf(events.map((event) => leafHash(Buffer.from(canonicalJson(event)))))));
    const { items } = (await api.get('/v1/keys')).body;
    const verifiers = items.map((item: { public_key: string }) => ({
      name: origin,
      key: readPublicKey(item.public_key),
    }));
    t.notThrows(() => openNote(note, verifiers));
    const { verifier, checkpoint } = (await api.get('/v1/log')).body;
    t.regex(verifier, new RegExp(`^${origin}\\+[0-9a-f]{8}\\+A`));
    t.is(checkpoint.size, size);

    const { objects } = service.services.blobs;
    t.is(await text(await objects.open({ key: checkpointKey(size), versionId: null })), note, 'storage has it');
    t.is((await api.get('/v1/log/checkpoint')).body, note, 'nothing has happened since');
    await addEvents(service.services, 1);
    t.is(readCheckpoint((await api.get('/v1/log/checkpoint')).body).size, size + 1);
    t.is((await api.get(`/v1/log/checkpoint?size=${size}`)).body, note, 'old ones are kept');
    const none = await api.get(`/v1/log/checkpoint?size=${size + 1_000}`);
    t.like(none, { status: 404, body: { code: 'checkpoint_not_found' } });
  });

  test('every event has a proof that needs nothing else, and every two checkpoints one that they are of one log', async (t) => {
    const { service, api } = await place(t);
    const id = await api.preserve({ a: 'kept' });
    await api.post(`/v1/packages/${id}/holds`, { reason: 'asked for' });
    await addEvents(service.services, 270);
    const kept = readCheckpoint((await api.get('/v1/log/checkpoint')).body);
    const { items } = (await api.get('/v1/keys')).body;
    const verifiers = [{ name: kept.origin, key: readPublicKey(items[0].public_key) }];
    const events = await listEvents(api);
    for (const [index, event] of events.entries()) {
      if (index > 12 && index < events.length - 3) continue;
      const { body } = await api.get(`/v1/log/proof?event=${event.id}`);
      const proof = openProof(body, verifiers);
      t.is(proof.index, index);
      t.is(proof.entry.toString(), canonicalJson(event));
    }
    const [held] = events.filter(({ action }) => action === 'hold.placed');
    t.like(JSON.parse(openProof((await api.get(`/v1/log/proof?event=${held?.id}`)).body, null).entry.toString()), {
      action: 'hold.placed',
      package_id: id,
      reason: 'asked for',
    });
    await addEvents(service.services, 300, 'after the checkpoint');
    const late = (await listEvents(api)).at(-1);
    t.is(openProof((await api.get(`/v1/log/proof?event=${late?.id}`)).body, verifiers).index, events.length + 299);

    const now = readCheckpoint((await api.get('/v1/log/checkpoint')).body);
    for (const from of [0, 1, 255, kept.size, now.size]) {
      const { status, body } = await api.get(`/v1/log/consistency?from=${from}&to=${now.size}`);
      t.is(status, 200);
      const hashes = body.hashes.map((each: string) => Buffer.from(each, 'base64'));
      if (from === kept.size) t.true(isConsistent(kept, now, hashes));
      t.is(isConsistent({ size: kept.size, root: now.root }, now, hashes), from === now.size && kept.size === now.size);
    }
    const newest = await api.get(`/v1/log/consistency?from=${kept.size}`);
    t.like(newest.body, { from: kept.size, to: now.size });
    for (const query of [`from=${now.size + 1}`, `from=1&to=${now.size + 1}`, 'from=2&to=1', 'from=-1', 'to=1'])
      t.is((await api.get(`/v1/log/consistency?${query}`)).status, 422, query);
    for (const event of ['evt_0198c0ffee0070008000000000000000', 'nonsense'])
      t.like(await api.get(`/v1/log/proof?event=${event}`), { status: 404, body: { code: 'event_not_found' } });
  });

  test('storage has the log in tiles, from which it can be read without the registry', async (t) => {
    const { service, api } = await place(t);
    await addEvents(service.services, 200);
    t.is(readCheckpoint((await api.get('/v1/log/checkpoint')).body).size, 200);
    t.deepEqual(await logKeys(service), [
      'log/checkpoints/0000000000000200',
      'log/tile/0/000.p/200',
      'log/tile/entries/000.p/200',
    ]);
    await addEvents(service.services, MANY - 200);
    const { root } = readCheckpoint((await api.get('/v1/log/checkpoint')).body);
    t.deepEqual(await logKeys(service), [
      'log/checkpoints/0000000000000200',
      'log/checkpoints/0000000000000600',
      'log/tile/0/000',
      'log/tile/0/001',
      'log/tile/0/002.p/88',
      'log/tile/1/000.p/2',
      'log/tile/entries/000',
      'log/tile/entries/001',
      'log/tile/entries/002.p/88',
    ]);
    const entries: Buffer[] = [];
    for (const key of (await logKeys(service)).filter((each) => each.includes('/entries/'))) {
      const bytes = await buffer(await service.services.blobs.objects.open({ key, versionId: null }));
      entries.push(...(parseBundle(bytes) as Buffer[]));
    }
    t.true(rootOf(entries.map(leafHash)).equals(root));
    const events = await listEvents(api);
    t.deepEqual(
      entries.map((entry) => entry.toString()),
      events.map((event) => canonicalJson(event)),
    );
    const cut = await fetch(`${service.url}/v1/log/tile/entries/000.p/200`);
    t.is((parseBundle(Buffer.from(await cut.arrayBuffer())) ?? []).length, 200, 'the beginning of the full one');
    for (const path of ['0/003', '0/000.p/257', '9/000', 'entries/x', '../checkpoints/0000000000000200'])
      t.is((await api.get(`/v1/log/tile/${path}`)).status, 404, path);
  });

  test('an event that is too long for an entry is in the log by the digest of its detail, which storage has', async (t) => {
    const { service, api } = await place(t);
    const paths = Array.from({ length: 900 }, (_, nth) => `${nth}`.padStart(200, 'x'));
    await service.services.registry.transaction(async (tables) => {
      const at = await tables.now();
      const event = {
        at,
        actor: 'tests',
        action: 'package.files_registered',
        package_id: null,
        subject_id: null,
      } as const;
      await tables.audit.add({ ...event, id: `evt_${'0'.repeat(32)}`, reason: null, detail: { paths } });
    });
    t.is((await api.get('/v1/log/checkpoint')).status, 200);
    const [bundle] = await service.services.registry.read.log.tiles([{ level: 0, n: 0 }]);
    t.is(bundle?.length, 32);
    const hex = hash('sha256', canonicalJson({ paths }), 'hex');
    const key = `log/details/${hex}.json` as ObjectKey;
    const { objects } = service.services.blobs;
    t.is(await text(await objects.open({ key, versionId: null })), canonicalJson({ paths }));
    const log = logClientOf(service.url);
    t.teardown(() => log.close());
    t.is((await log.verify(await log.keep())).break, null);
  });

  test('who may not read an event gets no proof of it, and no entries', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: 'kept' });
    const { size } = readCheckpoint((await api.get('/v1/log/checkpoint')).body);
    const [event] = await listEvents(api);
    const stranger = { actor: 'somebody', reads: { producers: ['others'] }, scopes: SCOPES };
    const friend = { actor: 'somebody', reads: { producers: ['tests'] }, scopes: SCOPES };
    const { services } = service;
    const proof = (caller: typeof stranger) => proveEvent(services, caller, event?.id as string);
    await t.throwsAsync(proof(stranger), { code: 'event_not_found' });
    t.is(openProof((await proof(friend)).text, null).index, 0);
    await t.throwsAsync(readLogTile(services, friend, `tile/entries/000.p/${size}`), { code: 'forbidden' });
    const hashes = await readLogTile(services, friend, `tile/0/000.p/${size}`);
    t.is(hashes.length, size * 32, 'hashes say nothing of what is hashed');
  });

  test('several services that extend the log at once, while events are added, make one log', async (t) => {
    const { service, api } = await place(t);
    const logs = [service.services.auditLog, otherLog(service), otherLog(service)];
    let adding = true;
    const work = logs.map(async (log) => {
      while (adding) await log.checkpoint();
    });
    for (let round = 0; round < 6; round += 1)
      await Promise.all([addEvents(service.services, 60), addEvents(service.services, 1), api.create()]);
    adding = false;
    await Promise.all(work);
    const notes = await Promise.all(logs.map(async (log) => (await log.checkpoint()).note));
    t.is(new Set(notes).size, 1);
    await assertLogged(t, service, notes[0] as string);
  });

  test('a crash anywhere between two steps is harmless: whoever comes next makes the same log', async (t) => {
    const { service, api } = await place(t);
    await addEvents(service.services, 250);
    await service.services.auditLog.checkpoint();
    await addEvents(service.services, 300);
    let steps = 0;
    let last = 0;
    // Each attempt is ended one step later than the one before, and goes on from what that has left.
    for (; ; last += 1) {
      const crashing = otherLog(service, () => {
        steps += 1;
        if (steps > last) throw new Error('killed');
      });
      steps = 0;
      const ended = await crashing.checkpoint().then(
        () => true,
        (error: Error) => {
          if (error.message !== 'killed') throw error;
          return false;
        },
      );
      const given = await service.services.registry.read.log.newestWritten();
      const key = checkpointKey(given?.size as number);
      t.is(await text(await service.services.blobs.objects.open({ key, versionId: null })), given?.note as string);
      if (ended) break;
    }
    t.true(last > 10, `ended ${last} times`);
    await assertLogged(t, service, (await api.get('/v1/log/checkpoint')).body);
  });

  test('a service makes checkpoints by itself', async (t) => {
    const service = await startTestService({ logInterval: 20 });
    t.teardown(() => service.dispose());
    const api = apiOf(service.url);
    await api.create();
    let made = null;
    while (made === null) made = (await api.get('/v1/log')).body.checkpoint;
    t.is(made.size, 1);
    await addEvents(service.services, 1_000);
    while (made.size === 1) made = (await api.get('/v1/log')).body.checkpoint;
    t.is(made.size, 1_001, 'after so many events there is another');
  });

  test('whatever is edited, removed, inserted, moved or cut off is found against a checkpoint, and the first is named', async (t) => {
    const { service } = await place(t);
    await addEvents(service.services, 300);
    const log = logClientOf(service.url);
    t.teardown(() => log.close());
    const kept = await log.keep();
    t.is((await log.verify(kept, [kept])).break, null);
    await withRegistry(service.env, async (db) => {
      const rows = await auditRows(db);
      t.is(rows.length, 300);
      await fc.assert(
        fc.asyncProperty(fc.array(EDIT, { minLength: 1, maxLength: 3 }), async (edits) => {
          const edited = edits.reduce(apply, rows);
          await replaceAuditRows(db, edited);
          const index = rows.findIndex((row, nth) => saidBy(row) !== saidBy(edited[nth]));
          const { break: found } = await log.verify(kept, [kept]);
          if (index === -1) return found === null;
          const said = [found?.index, found?.logged, found?.found];
          return canonicalJson(said) === canonicalJson([index, rows[index]?.id, edited[index]?.id ?? null]);
        }),
        { numRuns: 40 },
      );
      await replaceAuditRows(db, rows);
    });
    t.is((await log.verify(kept, [kept])).break, null, 'and nothing else has changed');
  });

  test('a registry that was lost and rebuilt goes on with the log from the last checkpoint', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: 'kept' });
    await addEvents(service.services, 300);
    const kept = readCheckpoint((await api.get('/v1/log/checkpoint')).body);
    await addEvents(service.services, 10, 'nobody was given a checkpoint of these');
    await service.stop();
    await loseRegistry(service.env);
    await rebuildRegistry(loadConfig(service.env), { signal: new AbortController().signal, tell: () => {} });

    const again = await startTestService({ dataDir: service.dataDir });
    t.teardown(() => again.dispose());
    await addEvents(again.services, 300);
    const log = logClientOf(again.url);
    t.teardown(() => log.close());
    const newest = await log.keep();
    t.is(newest.checkpoint.size, kept.size + 301, 'that it was rebuilt, and what came then');
    const verified = await log.verify(newest, [{ from: 'kept', note: '', checkpoint: kept }]);
    t.like(verified, { break: null, in_storage_only: kept.size });
    const { hashes } = await log.client.log.consistency(kept.size, newest.checkpoint.size);
    const proof = hashes.map((each) => Buffer.from(each, 'base64'));
    t.true(isConsistent(kept, newest.checkpoint, proof));
    const [rebuilt] = await listEvents(apiOf(again.url));
    const { index } = openProof(await log.client.log.proof(rebuilt?.id as string), null);
    t.is(index, kept.size);
  });

  test('a log that comes back shorter than a checkpoint that was kept says so', async (t) => {
    const { service, api } = await place(t);
    await api.preserve({ a: 'kept' });
    const older = readCheckpoint((await api.get('/v1/log/checkpoint')).body);
    await addEvents(service.services, 40);
    const log = logClientOf(service.url);
    const kept = await log.keep();
    log.close();
    await service.services.blobs.objects.remove({ key: checkpointKey(kept.checkpoint.size), versionId: null });
    await service.stop();
    await loseRegistry(service.env);
    await rebuildRegistry(loadConfig(service.env), { signal: new AbortController().signal, tell: () => {} });

    const again = await startTestService({ dataDir: service.dataDir });
    t.teardown(() => again.dispose());
    const shorter = logClientOf(again.url);
    t.teardown(() => shorter.close());
    const newest = await shorter.keep();
    t.is(newest.checkpoint.size, older.size + 1, 'that it was rebuilt');
    const { break: found } = await shorter.verify(newest, [kept]);
    t.regex(found?.says ?? '', /^kept is a checkpoint of \d+ entries, and the log has \d+: it was cut off, or/);
  });

  test('a registry that was restored from a backup goes on after what storage has; one that contradicts it does not', async (t) => {
    const { service, api } = await place(t);
    await addEvents(service.services, 80);
    await api.get('/v1/log/checkpoint');
    await addEvents(service.services, 20, 'in the backup, and not in its log');
    const backup = await withRegistry(service.env, backUp);
    await addEvents(service.services, 30, 'not in the backup');
    const kept = readCheckpoint((await api.get('/v1/log/checkpoint')).body);
    t.is(kept.size, 130);
    await service.stop();

    const altered = structuredClone(backup);
    for (const tile of altered.log_tiles as Array<{ hashes: Uint8Array }>)
      tile.hashes[0] = (tile.hashes[0] as number) ^ 1;
    await withRegistry(service.env, (db) => restore(db, altered));
    const wrong = await startTestService({ dataDir: service.dataDir });
    t.like(await apiOf(wrong.url).get('/v1/log/checkpoint'), { status: 500, body: { code: 'integrity_failure' } });
    await wrong.stop();

    await withRegistry(service.env, (db) => restore(db, backup));
    const again = await startTestService({ dataDir: service.dataDir });
    t.teardown(() => again.dispose());
    await addEvents(again.services, 5);
    const log = logClientOf(again.url);
    t.teardown(() => log.close());
    const newest = await log.keep();
    t.is(newest.checkpoint.size, 135);
    const verified = await log.verify(newest, [{ from: 'kept', note: '', checkpoint: kept }]);
    t.like(verified, { break: null, in_storage_only: 30 });
  });

  test('an edited event has no proof, and the log does not hide it in what it signs next', async (t) => {
    const { service, api } = await place(t);
    await addEvents(service.services, 20);
    const log = logClientOf(service.url);
    t.teardown(() => log.close());
    const kept = await log.keep();
    const rows = await withRegistry(service.env, auditRows);
    const [edited, other] = [rows[7] as AuditRow, rows[8] as AuditRow];
    await withRegistry(service.env, (db) =>
      db('audit_events').where({ seq: edited.seq }).update({ reason: 'another' }),
    );
    t.like(await api.get(`/v1/log/proof?event=${edited.id}`), { status: 500, body: { code: 'integrity_failure' } });
    t.is((await api.get(`/v1/log/proof?event=${other.id}`)).status, 200);
    await addEvents(service.services, 5);
    const newest = await log.keep();
    t.is(newest.checkpoint.size, 25, 'what was logged before stays as it was');
    const { break: found } = await log.verify(newest, [kept]);
    t.like(found, { index: 7, logged: edited.id, found: edited.id });
    t.regex(found?.says ?? '', /entry 7, evt_\w+, was changed after it was logged/);
    const alone = await log.verify(newest);
    t.is(alone.break?.index, 7, "storage's tiles tell it, too");
  });
}

const LOG_TABLES = ['audit_events', 'log_head', 'log_tiles', 'log_checkpoints', 'log_gaps'] as const;
type Backup = Record<(typeof LOG_TABLES)[number], object[]>;

async function backUp(db: Knex): Promise<Backup> {
  const rows = await Promise.all(LOG_TABLES.map((table) => db(table).select('*')));
  return Object.fromEntries(LOG_TABLES.map((table, nth) => [table, rows[nth]])) as Backup;
}

async function restore(db: Knex, backup: Backup): Promise<void> {
  for (const table of LOG_TABLES) {
    await db(table).delete();
    for (const row of backup[table]) await db(table).insert(row);
  }
}

/** Another service's, on the same registry and store. @param step before and after each of its effects */
function otherLog({ services }: TestService, step: () => void = () => {}): AuditLog {
  const { registry, blobs } = services;
  const stepped = async <T>(effect: () => Promise<T>): Promise<T> => {
    step();
    const done = await effect();
    step();
    return done;
  };
  return auditLog({
    registry: { ...registry, transaction: (work) => stepped(() => registry.transaction(work)) },
    blobs: {
      objects: {
        ...blobs.objects,
        write: (key, bytes) => stepped(() => blobs.objects.write(key, bytes)),
        removeMany: (refs) => stepped(() => blobs.objects.removeMany(refs)),
      },
    },
    log: services.log,
    storeId: services.storeId,
    key: () => signingKey(services),
  });
}

type Edit =
  | { kind: 'edit'; at: number; field: keyof typeof ANOTHER }
  | { kind: 'remove' | 'insert' | 'cut'; at: number }
  | { kind: 'swap'; at: number; with: number };

const PLACE = fc.nat({ max: 299 });
const EDIT: fc.Arbitrary<Edit> = fc.oneof(
  fc.record({
    kind: fc.constant('edit' as const),
    at: PLACE,
    field: fc.constantFrom(
      'actor' as const,
      'reason' as const,
      'detail' as const,
      'at' as const,
      'id' as const,
      'action' as const,
      'nonsense' as const,
      'ages' as const,
    ),
  }),
  fc.record({ kind: fc.constantFrom('remove' as const, 'insert' as const, 'cut' as const), at: PLACE }),
  fc.record({ kind: fc.constant('swap' as const), at: PLACE, with: PLACE }),
);

/** What the numbers of rows are is theirs to choose, who can write the database. */
function apply(rows: readonly AuditRow[], edit: Edit): AuditRow[] {
  const row = rows[edit.at];
  if (row === undefined) return [...rows];
  const next = [...rows];
  if (edit.kind === 'edit') next[edit.at] = { ...row, ...ANOTHER[edit.field](row) };
  if (edit.kind === 'remove') next.splice(edit.at, 1);
  if (edit.kind === 'cut') next.splice(edit.at);
  if (edit.kind === 'insert') next.splice(edit.at, 0, { ...row, id: `evt_${'a'.repeat(32)}`, reason: 'inserted' });
  if (edit.kind === 'swap' && rows[edit.with] !== undefined) {
    next[edit.at] = rows[edit.with] as AuditRow;
    next[edit.with] = row;
  }
  return next.map((each, nth) => ({ ...each, seq: nth + 1 }));
}

const ANOTHER = {
  actor: ({ actor }: AuditRow) => ({ actor: `${actor}.` }),
  reason: ({ reason }: AuditRow) => ({ reason: reason === null ? 'none' : null }),
  detail: ({ detail }: AuditRow) => ({ detail: canonicalJson({ was: detail.length }) }),
  at: ({ at }: AuditRow) => ({ at: at + 1 }),
  id: ({ id }: AuditRow) => ({ id: `${id.slice(0, -1)}${id.endsWith('0') ? '1' : '0'}` }),
  action: () => ({ action: 'object.removed' }),
  nonsense: () => ({ detail: '{"nth":' }),
  ages: () => ({ at: 9e15 }),
};

/** All that a row says but its number. */
function saidBy(row: AuditRow | undefined): string {
  return canonicalJson({ ...row, seq: 0 });
}

/** A checkpoint is of all events there are, and the audit is what was logged. */
async function assertLogged(t: ExecutionContext, { url }: TestService, note: string): Promise<void> {
  const { size, root } = readCheckpoint(note);
  const events = await listEvents(apiOf(url));
  t.is(size, events.length);
  t.true(root.equals(rootOf(events.map((event) => leafHash(Buffer.from(canonicalJson(event)))))));
  const log = logClientOf(url);
  t.teardown(() => log.close());
  t.is((await log.verify(await log.keep())).break, null);
}

interface WireEvent {
  id: string;
  action: string;
}

async function listEvents(api: Api): Promise<WireEvent[]> {
  const events: WireEvent[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const { body } = await api.get(`/v1/audit?limit=1000${cursor === '' ? '' : `&cursor=${cursor}`}`);
    events.push(...body.items);
    cursor = body.next_cursor;
  }
  return events;
}

async function logKeys({ services }: TestService): Promise<ObjectKey[]> {
  const keys: ObjectKey[] = [];
  for await (const { key } of services.blobs.objects.list('log/')) keys.push(key);
  return keys;
}
