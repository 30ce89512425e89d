import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Knex } from 'knex';
import { checkpointKey, KEYS_PREFIX, LOG_PREFIX, publicKeyKey, STORE_KEY } from '../../src/blobs/key-layout.ts';
import { type Digest, digestFromBytes, digestOf, parseDigest } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { openRegistry } from '../../src/registry/registry.ts';
import { apiOf, sha256 } from '../support/api.ts';
import { BIN } from '../support/command.ts';
import { type Counts, type CrashPlan, PHASES } from '../support/crash-point.ts';
import { generator } from '../support/random.ts';
import { writeTree } from '../support/tree.ts';

/** How long the pushes of one trial may take. */
const PATIENCE_MS = 120_000;

/** A service that dies and freezes at effects of its requests, and what it stores. */
export interface CrashPlace {
  /** What is pushed to; the same before and after a crash. */
  readonly url: string;
  /** The file that lists every 200 of a commit or finalize. */
  readonly acknowledged: string;
  /** From now on effects are counted anew, and the one of the plan stops the service. */
  arm(plan: CrashPlan | null): Promise<void>;
  counts(): Promise<Counts>;
  /** The service has died or frozen. */
  stopped(): Promise<unknown>;
  /** There is a service again. */
  resume(action: CrashPlan['action']): Promise<void>;
  /** Whoever was frozen goes on and ends what it had begun; leases run out, and recovery has run. */
  settle(): Promise<void>;
  /** The registry, to be looked at. */
  connect(): Knex;
  stored(): Promise<Stored>;
  /** @param well another trial may come after this one */
  leave(well: boolean): Promise<void>;
}

/** What there is in the blob store, as somebody else than the service reads it. */
export interface Stored {
  /** By key. */
  objects: Map<string, Digest>;
  /** What is no object: parts and files that wait to become one. Abandoned: by the uploads of these keys. */
  unfinished: string[];
}

export interface CrashSuite {
  open(): Promise<CrashPlace>;
  /** How many, by which phase it is. */
  kills(phase: number): number;
  freezes(phase: number): number;
  /** Sizes of files that are not packed; some are of several parts. */
  large: readonly number[];
  /** The blob store cannot free what is left of a completion that has no clean answer: that is the sweep's. */
  keepsUnclean: boolean;
}

/**
 * The service dies (kill -9) or freezes (SIGSTOP) at a chosen effect of a chosen phase, while the command line pushes.
 * Then there is a service again, the push finishes, and the invariants hold. ARTIFACT_STORE_TEST_SEED repeats a run.
 */
export function crashSuite(suite: CrashSuite): void {
  const seed = Number(process.env.ARTIFACT_STORE_TEST_SEED ?? randomBytes(4).readUInt32BE());
  console.log(`# crash tests: seed ${seed} (ARTIFACT_STORE_TEST_SEED=${seed} repeats them)`);
  const random = generator(seed);
  let counted: Promise<Counts> | undefined;
  const newRun = (name: string) => makeRun(suite, `${name} of ${seed}`);

  for (const [nthPhase, phase] of PHASES.entries()) {
    for (const action of ['SIGKILL', 'SIGSTOP'] as const) {
      const times = action === 'SIGKILL' ? suite.kills(nthPhase) : suite.freezes(nthPhase);
      for (let n = 0; n < times; n++) {
        // Spread over the phase, at random within each stretch.
        const where = (n + random()) / times;
        test.serial(`${action} in ${phase}, ${n + 1} of ${times}`, async (t) => {
          t.timeout(2 * PATIENCE_MS);
          counted ??= countEffects(suite, await newRun('undisturbed'));
          const total = (await counted)[phase] ?? 0;
          t.true(total > 3, `${phase} has effects`);
          let nth = 1 + Math.floor(where * total);
          for (let tries = 1; ; tries++) {
            const run = await newRun(`${action} in ${phase}, ${n + 1}, try ${tries}`);
            if (await trial(t, suite, run, { phase, nth, action })) return;
            // Requests interleave differently every time: an effect near the end may not come.
            if (tries > 3) return t.fail(`effect ${nth} of ${total} in ${phase} did not come`);
            nth = Math.max(1, Math.floor(nth / 2));
          }
        });
      }
    }
  }
}

/** What one trial pushes. */
interface Run {
  /** Its external id. */
  name: string;
  folder: string;
  tree: string;
  digests: Map<string, Digest>;
}

/** Bytes that no other run has. */
async function makeRun({ large }: CrashSuite, name: string): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'artifact-store-crash-'));
  const same = Buffer.from(`same in ${name}`);
  const files: Record<string, Buffer> = { 'empty.log': Buffer.alloc(0), 'same/1': same, 'same/2': same };
  for (let n = 0; n < 5; n++) files[`small/${n} ä.txt`] = Buffer.from(`small ${n} in ${name}`);
  for (const [n, outputLength] of large.entries())
    files[`large/${n}.bin`] = createHash('shake256', { outputLength }).update(`${name} ${n}`).digest();
  // Compresses to half of it: to as much as the first of those.
  const [outputLength = 0] = large;
  files['large/log.txt'] = Buffer.from(createHash('shake256', { outputLength }).update(`${name} log`).digest('hex'));
  const tree = await writeTree(join(folder, 'run'), files);
  const digests = Object.entries(files).map(([path, bytes]) => [path, parseDigest(sha256(bytes))] as const);
  return { name, folder, tree, digests: new Map(digests) };
}

/** How many effects each phase has, counted in a push that nothing disturbs. */
async function countEffects(suite: CrashSuite, run: Run): Promise<Counts> {
  const place = await suite.open();
  let well = false;
  try {
    await place.arm(null);
    const { code, said } = await push(run, place.url);
    if (code !== 0) throw new Error(`an undisturbed push failed: ${said}`);
    const counts = await place.counts();
    well = true;
    return counts;
  } finally {
    await place.leave(well);
    await rm(run.folder, { recursive: true, force: true });
  }
}

/** One push with one crash or freeze in it, and what is to be seen afterwards. @returns whether the effect came */
async function trial(t: ExecutionContext, suite: CrashSuite, run: Run, plan: CrashPlan): Promise<boolean> {
  const place = await suite.open();
  let left = false;
  const leave = async (well: boolean): Promise<void> => {
    if (left) return;
    left = true;
    await place.leave(well);
  };
  // When its time was up it is still at it: no other trial may come there.
  t.teardown(() => leave(false));
  let well = false;
  try {
    await place.arm(plan);
    const patience = AbortSignal.timeout(PATIENCE_MS);
    let pushing = push(run, place.url, patience);
    const came = await Promise.race([place.stopped().then(() => true), pushing.then(() => false)]);
    if (came) await place.resume(plan.action);
    let log = '';
    for (let round = 1; ; round++) {
      const { code, said } = await pushing;
      log += `push exit ${code}\n${said}\n`;
      if (code === 0) break;
      if (round === 4 || patience.aborted) throw new Error(`the push does not finish:\n${log}`);
      pushing = push(run, place.url, patience);
    }
    if (came) {
      await place.settle();
      await checkInvariants(t, suite, place, run);
    }
    well = true;
    return came;
  } finally {
    await leave(well);
    await rm(run.folder, { recursive: true, force: true });
  }
}

function push(
  { tree, folder, name }: Run,
  url: string,
  signal?: AbortSignal,
): Promise<{ code: number | null; said: string }> {
  const of = ['--name', 'run', '--producer', 'crash', '--external-id', name];
  const child = spawn(process.execPath, [BIN, 'push', tree, ...of, '--json', '--url', url], {
    env: { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') },
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
    killSignal: 'SIGKILL',
  });
  let said = '';
  const hear = (chunk: Buffer): void => {
    said += chunk;
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  // Out of patience: it was killed, and has no exit code.
  child.once('error', () => {});
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, said })));
}

async function checkInvariants(t: ExecutionContext, suite: CrashSuite, place: CrashPlace, run: Run): Promise<void> {
  const query = new URLSearchParams({ producer: 'crash', external_id: run.name });
  const packages = (await apiOf(place.url).get(`/v1/packages?${query}`)).body.items;
  t.is(packages.length, 1, 'one package, however often the push began');
  const [pkg] = packages;
  t.is(pkg.status, 'finalized');
  await isWhole(t, place, run, pkg);

  const db = place.connect();
  const registry = await openRegistry(db);
  try {
    await storedAsRegistered(t, suite, db, await place.stored());
    await oneTruth(t, db, pkg.id);
    await endedAsAcknowledged(t, db, await readFile(place.acknowledged, 'utf8'));
    // 7: who knows only the digests gets nothing.
    const wanted = [...run.digests.values()].map((digest) => ({ digest, size: 4 }));
    const provable = await registry.read.files.provableBy({ producers: ['mallory'] }, 'pkg_none' as PackageId, wanted);
    t.is(provable.size, 0);
  } finally {
    await registry.close();
  }
}

/** 1: byte for byte; the manifest is sealed by its digest. */
async function isWhole(
  t: ExecutionContext,
  { url }: CrashPlace,
  { digests }: Run,
  { id, manifest_digest }: { id: string; manifest_digest: string },
): Promise<void> {
  const manifestText = await (await fetch(`${url}/v1/packages/${id}/manifest`)).text();
  t.is(sha256(manifestText), manifest_digest);
  const manifest = JSON.parse(manifestText) as { files: Array<{ path: string; sha256: string }> };
  t.deepEqual(
    manifest.files.map((file) => [file.path, `sha256:${file.sha256}`]),
    [...digests].toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
  );
  for (const [path, digest] of digests) {
    const answer = await fetch(`${url}/v1/packages/${id}/files/${path.split('/').map(encodeURIComponent).join('/')}`);
    t.is(sha256(Buffer.from(await answer.arrayBuffer())), digest, path);
  }
}

/** 2 and 3: every object is there with the digest it was recorded with, and nothing else is. */
async function storedAsRegistered(
  t: ExecutionContext,
  { keepsUnclean }: CrashSuite,
  db: Knex,
  { objects: found, unfinished }: Stored,
): Promise<void> {
  type Row = { key: string; kind: string; digest: Buffer; stored_digest: Buffer | null };
  const objects: Row[] = await db('objects').select('key', 'kind', 'digest', 'stored_digest');
  for (const { key, digest, stored_digest } of objects)
    t.is(found.get(key), digestFromBytes(stored_digest ?? digest), key);
  const forms = new Set(
    objects.map(({ kind, stored_digest }) => `${kind} ${stored_digest === null ? 'as it is' : 'in frames'}`),
  );
  const all = ['attestation as it is', 'blob as it is', 'blob in frames', 'manifest as it is', 'pack in frames'];
  t.deepEqual([...forms].toSorted(), all);
  const unclean: string[] = keepsUnclean
    ? await db('uploads').where({ state: 'failed' }).whereNull('completed_at').pluck('key')
    : [];
  const marked: string[] = await db('uploads').where({ drop_key: true, drop_later: true }).pluck('key');
  t.deepEqual(
    marked.filter((key) => !unclean.includes(key)),
    [],
    'only what has no clean answer is left to the sweep',
  );
  const decisions: Array<{ package_id: string; id: string }> = await db('retention_events')
    .whereNot({ action: 'set' })
    .select('package_id', 'id');
  const told = decisions.map(({ package_id, id }) => `packages/${package_id}/decisions/${id}.json`);
  t.deepEqual(
    told.filter((key) => !found.has(key)),
    [],
    'every decision is in storage as well',
  );
  const keys: string[] = await db('signing_keys').pluck('id');
  t.deepEqual(
    keys.map(publicKeyKey).filter((key) => !found.has(key)),
    [],
    'every key that signed is in storage',
  );
  const known = new Set([...objects.map(({ key }) => key), ...unclean, ...told, STORE_KEY]);
  // A key that storage has, and the registry does not, has signed nothing yet.
  const others = [LOG_PREFIX, KEYS_PREFIX];
  t.deepEqual(
    [...found.keys()].filter((key) => !known.has(key) && !others.some((prefix) => key.startsWith(prefix))),
    [],
    'no object that the registry does not know',
  );
  const given: Array<{ size: number; note: string }> = await db('log_checkpoints')
    .whereNotNull('written_at')
    .select('size', 'note');
  for (const { size, note } of given)
    t.is(found.get(checkpointKey(Number(size))), digestOf(note), 'every checkpoint that was given out is in storage');
  t.deepEqual(
    unfinished.filter((key) => !unclean.includes(key)),
    [],
    'nothing stays that is no object',
  );
}

/** 4: what has changed and the audit events that tell of it are the same. */
async function oneTruth(t: ExecutionContext, db: Knex, packageId: string): Promise<void> {
  const committed: string[] = await db('uploads').where({ state: 'committed' }).pluck('id');
  const aborted: string[] = await db('uploads').whereIn('state', ['aborting', 'aborted']).pluck('id');
  const audited = (action: string): Promise<string[]> => db('audit_events').where({ action }).pluck('subject_id');
  t.deepEqual((await audited('upload.committed')).toSorted(), committed.toSorted());
  t.deepEqual((await audited('upload.aborted')).toSorted(), aborted.toSorted());
  for (const action of ['package.created', 'package.finalized'])
    t.is((await db('audit_events').where({ action, package_id: packageId })).length, 1, action);
}

/** 5: every upload has ended, and what was acknowledged is there. */
async function endedAsAcknowledged(t: ExecutionContext, db: Knex, acknowledged: string): Promise<void> {
  const unfinished = await db('uploads')
    .whereIn('state', ['open', 'completing', 'aborting'])
    .orWhere({ drop_key: true, drop_later: false });
  t.deepEqual(unfinished, []);
  const named = (kind: RegExp): Set<string> => new Set([...acknowledged.matchAll(kind)].map(([, id]) => id as string));
  const commits = named(/uploads\/(upl_\w+)\/commit/g);
  const finalized = named(/packages\/(pkg_\w+)\/finalize/g);
  t.true(commits.size > 0 && finalized.size > 0);
  const stand: string[] = [
    ...(await db('uploads').where({ state: 'committed' }).pluck('id')),
    ...(await db('packages').where({ status: 'finalized' }).pluck('id')),
  ];
  t.deepEqual(
    [...commits, ...finalized].filter((id) => !stand.includes(id)),
    [],
    'what was acknowledged stands',
  );
}
