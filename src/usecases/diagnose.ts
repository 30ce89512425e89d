import type { BlobHealth, Finding } from '../blobs/blob-store.ts';
import type { ReadTables } from '../registry/read-tables.ts';
import { checkReadiness, type RegistryHealth } from './check-readiness.ts';
import { compareLocks } from './compare-locks.ts';
import { damagedItems } from './damaged-files.ts';
import { notReconciled } from './registry-age.ts';
import type { Services, WithHealth, WithLocks } from './services.ts';
import { webhookTotals } from './webhook-totals.ts';

/** What only the composition root knows of the service's surroundings. */
export interface Surroundings {
  dataDir: string;
  /** Where the registry is, without a password: `SQLite in the data folder`. */
  database: string;
  /** Whether requests need a token. */
  hasToken(): Promise<boolean>;
  /** Other machines can reach the socket. */
  reachable: boolean;
  /** Bytes that may still be written to the data folder; null where the file system does not tell. */
  freeBytes(): Promise<number | null>;
}

export interface Check {
  name: string;
  level: 'ok' | 'note' | 'warning' | 'failure';
  says: string;
  /** What to change; null when nothing needs to be. */
  advice: string | null;
}

/** Below so many bytes the next uploads may not fit. */
const SPACE_MIN = 1e9;
const CLOCK_SKEW_MAX_MS = 5_000;

/**
 * Everything that an operator should check, in words, the most basic first. For authenticated callers: it names
 * folders, buckets and addresses, but never a key, a password or a token. The guarantees of the backend are probed
 * again. Never throws.
 */
export async function diagnose(services: Services<WithHealth & WithLocks>, around: Surroundings): Promise<Check[]> {
  const [{ registry, blob_store, store_id }, free] = await Promise.all([
    checkReadiness(services, true),
    around.freeBytes(),
  ]);
  return [
    dataFolder(around, free),
    registryCheck(registry, around),
    ...(registry.ok && registry.kind === 'postgres' ? [await databaseClock(registryNow(services))] : []),
    blobStore(blob_store),
    ...(blob_store.ok ? [identity(store_id)] : []),
    ...(registry.ok
      ? [
          ...(await reconciliation(services)),
          ...(await storedBytes(services)),
          ...(await lostObjects(services)),
          ...(await fixity(services)),
          ...(await webhooks(services)),
        ]
      : []),
    ...(blob_store.ok ? blob_store.findings.map(finding) : []),
    ...(blob_store.ok && registry.ok ? await locks(services) : []),
    ...(registry.kind === 'sqlite' && blob_store.kind === 's3' ? [BOTH_HALVES] : []),
    ...(registry.ok ? [token(await around.hasToken())] : []),
    publicUrl(services.publicUrl(), around),
  ];
}

/** Whether there is space in the data folder. */
export function dataFolder({ dataDir }: Pick<Surroundings, 'dataDir'>, free: number | null): Check {
  const name = 'data_folder';
  if (free === null) return { name, level: 'ok', says: `The data folder is ${dataDir}.`, advice: null };
  const says = `The data folder is ${dataDir}; ${bytesText(free)} are available.`;
  if (free >= SPACE_MIN) return { name, level: 'ok', says, advice: null };
  const advice = 'Free some space, or move the folder: bytes sent through the service do not fit, and get 507.';
  return { name, level: 'warning', says, advice };
}

function registryCheck(
  { ok, latency_ms, schema, error, error_code }: RegistryHealth,
  { database }: Surroundings,
): Check {
  const name = 'registry';
  if (ok) {
    const says = `The registry is ${database} (schema ${schema}); it answers in ${Math.round(latency_ms)} ms.`;
    return { name, level: 'ok', says, advice: null };
  }
  const advice =
    error_code === 'registry_damaged'
      ? 'Trust nothing that it returns: stop the service, and restore the registry from a backup.'
      : 'Nothing works without it: start the database, or correct ARTIFACT_STORE_DATABASE_URL.';
  return { name, level: 'failure', says: `The registry, ${database}, does not work: ${error}`, advice };
}

function registryNow({ registry }: Services): Promise<number> {
  return registry.read.now().catch(() => Date.now());
}

/** @param asked what the database's clock says; ms */
export async function databaseClock(asked: Promise<number>): Promise<Check> {
  const name = 'database_clock';
  const skew = Math.abs((await asked) - Date.now());
  if (skew <= CLOCK_SKEW_MAX_MS) {
    return { name, level: 'ok', says: "The database's clock agrees with this machine's.", advice: null };
  }
  const says = `The database's clock and this machine's differ by ${Math.round(skew / 1_000)} s.`;
  const advice =
    "Synchronize both with NTP: signed URLs expire by this machine's clock, retention counts by the database's.";
  return { name, level: 'warning', says, advice };
}

function blobStore({ kind, place, ok, latency_ms, error }: BlobHealth): Check {
  const name = 'blob_store';
  const what = kind === 'folder' ? `the folder ${place}` : `the ${place}`;
  if (ok)
    return {
      name,
      level: 'ok',
      says: `Blobs are in ${what}; it answers in ${Math.round(latency_ms)} ms.`,
      advice: null,
    };
  return { name, level: 'failure', says: `Blobs are in ${what}, which does not work: ${error}`, advice: null };
}

function identity(id: string | null): Check {
  const name = 'store_identity';
  if (id !== null) return { name, level: 'ok', says: `The store belongs to this registry (${id}).`, advice: null };
  const says = 'It is not known yet whether the store belongs to this registry: nothing is written to it.';
  const advice = 'The log says what storage answered: the service needs to read, list and write below its prefix.';
  return { name, level: 'failure', says, advice };
}

async function reconciliation({ registry }: Services): Promise<Check[]> {
  const open = await notReconciled(registry.read).catch(() => null);
  if (open === null) return [];
  const at = new Date(open.at).toISOString();
  if (open.why === 'rebuilt') {
    const says = `The registry was filled from its store at ${at}, and nobody has compared both since: sweeps remove nothing.`;
    const advice = 'Look at what `artifact-store sweep` lists, then run `artifact-store sweep --reconcile`.';
    return [{ name: 'registry_rebuilt', level: 'warning', says, advice }];
  }
  const many = open.entries === 1 ? 'one event' : `${open.entries} events`;
  const says = `The registry is older than its store: the audit log in storage has ${many} that the registry does not know (found at ${at}).`;
  const advice =
    'Restore a newer backup, or fill an empty registry with `artifact-store rebuild --from-storage`. Where neither is wanted: `artifact-store sweep` lists what the store has, and `sweep --reconcile` ends this.';
  return [{ name: 'registry_older', level: 'failure', says, advice }];
}

async function storedBytes({ registry }: Services): Promise<Check[]> {
  const totals = await registry.read.blobs.totals().catch(() => null);
  if (totals === null || totals.objects === 0) return [];
  const { objects, size, stored_size } = totals;
  const says = `${objects === 1 ? 'One object holds' : `${objects} objects hold`} ${bytesText(size)} in ${bytesText(stored_size)} of storage.`;
  return [{ name: 'stored_bytes', level: 'ok', says, advice: null }];
}

/** More than so many are not counted. */
const LOST_COUNTED = 1_000;

async function lostObjects({ registry }: Services): Promise<Check[]> {
  const lost = await registry.read.blobs.countLost(LOST_COUNTED).catch(() => 0);
  if (lost === 0) return [];
  const many = lost === LOST_COUNTED ? `${lost} objects or more` : lost === 1 ? 'one object' : `${lost} objects`;
  const what = `Lost from the blob store (gone, or of the wrong length): ${many}.`;
  if (!(await registry.read.blobs.anyLostIsNeeded().catch(() => true))) {
    const says = `${what} Every file has its bytes elsewhere.`;
    const advice = 'Nothing is missing for it: find out why storage does not have them.';
    return [{ name: 'lost_objects', level: 'note', says, advice }];
  }
  const advice = 'Restore them from a backup, or push the same files again: the next finalize notices either.';
  return [{ name: 'lost_objects', level: 'failure', says: `${what} Files of packages cannot be read.`, advice }];
}

/** Of what was damaged. */
async function everyFileHasCopies(tables: ReadTables): Promise<boolean> {
  if ((await tables.blobs.anyLostIsNeeded()) || (await tables.damaged.anyProof())) return false;
  // Of more files than are looked at it is the registry's word alone.
  const { items } = await damagedItems(tables, null, LOST_COUNTED);
  return items.every(({ copies }) => copies > 0);
}

/** Webhooks that are further behind are told. */
const LAG_MAX_MS = 3_600_000;

const DAY_MS = 86_400_000;

async function fixity({ registry, fixity: { period } }: Services): Promise<Check[]> {
  const damaged = await registry.read.damaged.count(LOST_COUNTED).catch(() => 0);
  const checks: Check[] = [];
  if (damaged > 0) {
    const many =
      damaged === LOST_COUNTED ? `${damaged} objects or more` : damaged === 1 ? 'one object' : `${damaged} objects`;
    const isMended = await everyFileHasCopies(registry.read).catch(() => false);
    const says = `Fixity checks found damage in ${many}${isMended ? ', and everything that was in them has a good copy' : ''}.`;
    const advice = isMended
      ? 'Look at the disk or bucket that they are on: `artifact-store fixity` names the packages and files.'
      : '`artifact-store fixity` names the packages and files, and how to mend them.';
    checks.push({ name: 'damaged_objects', level: isMended ? 'note' : 'failure', says, advice });
  }
  if (period === null) {
    const says =
      'Objects are not read again by themselves (ARTIFACT_STORE_FIXITY_PERIOD is off): nobody notices when storage loses bits.';
    return [
      ...checks,
      {
        name: 'fixity',
        level: 'note',
        says,
        advice: 'Set it to 30d, or run `artifact-store fixity --now` from time to time.',
      },
    ];
  }
  const oldest = await registry.read.checks.oldestSeen().catch(() => null);
  const overdue = oldest !== null && oldest < (await registry.read.now().catch(() => oldest)) - period;
  const days = `${Math.round((period / DAY_MS) * 10) / 10} days`;
  if (overdue) {
    const says = `Not every object was read within ${days}, the fixity period.`;
    const advice = 'Raise ARTIFACT_STORE_FIXITY_RATE: `artifact-store fixity` says how much is overdue.';
    checks.push({ name: 'fixity', level: 'warning', says, advice });
  }
  return checks;
}

async function webhooks({ registry }: Services): Promise<Check[]> {
  const totals = await webhookTotals(registry).catch(() => null);
  if (totals === null) return [];
  const { dead, waiting, lag } = totals;
  const checks: Check[] = [];
  if (dead > 0) {
    const says = `Webhooks did not take ${dead === 1 ? 'one event' : `${dead} events`}, which ${dead === 1 ? 'is' : 'are'} tried no more.`;
    const advice = '`artifact-store webhook ls` says which and why: mend the receiver, then `webhook replay`.';
    checks.push({ name: 'webhooks_dead', level: 'warning', says, advice });
  }
  if (lag > LAG_MAX_MS) {
    const says = `Webhooks are behind by ${Math.round(lag / 60_000)} minutes; ${waiting === 1 ? 'one event waits' : `${waiting} events wait`} for another attempt.`;
    const advice = '`artifact-store webhook ls` says which, and what their receivers answered.';
    checks.push({ name: 'webhooks_behind', level: 'warning', says, advice });
  }
  return checks;
}

/** Of keys that are named. */
const NAMED = 3;

async function locks(services: Services<WithLocks>): Promise<Check[]> {
  const seen = await compareLocks(services).catch((err: unknown) => {
    services.log.warn({ err }, 'the locks of objects could not be compared');
    return null;
  });
  if (seen === null) return [];
  const { looked, weaker, otherMode, behind } = seen;
  const checks: Check[] = [];
  if (behind > 0) {
    const says = `Storage has not been told yet of the locks of ${behind === 1 ? 'one package or object' : `${behind} packages and objects`}.`;
    const advice = 'The service tells it every minute; if it does not get through, its log says what storage answers.';
    checks.push({ name: 'locks_behind', level: 'warning', says, advice });
  }
  if (weaker.length > 0) {
    const named = `${weaker.slice(0, NAMED).join(', ')}${weaker.length > NAMED ? ', …' : ''}`;
    const says = `Of ${looked} locked objects that were looked at, storage locks ${weaker.length} for less long than the registry says: ${named}.`;
    const advice =
      'Somebody has changed them, or they are gone. The service locks what is there again within a minute: find out who may s3:BypassGovernanceRetention.';
    checks.push({ name: 'locks', level: 'failure', says, advice });
  } else if (looked > 0) {
    const says = `Storage locks ${looked === 1 ? 'the one object that was' : `each of ${looked} objects that were`} looked at for as long as the registry says.`;
    checks.push({ name: 'locks', level: 'ok', says, advice: null });
  }
  if (otherMode > 0) {
    const says = `${otherMode} of them are locked in another mode than ARTIFACT_STORE_S3_OBJECT_LOCK says: an object keeps the mode that it was first locked with.`;
    checks.push({ name: 'lock_mode', level: 'note', says, advice: null });
  }
  return checks;
}

export function finding({ guarantee, held, weight, says, advice }: Finding): Check {
  return { name: guarantee, level: held ? 'ok' : weight, says, advice };
}

export const BOTH_HALVES: Check = {
  name: 'replicas',
  level: 'note',
  says: 'The registry is in the data folder and the bytes are in a bucket: only a single service can run this way.',
  advice: 'Back up both. For several replicas set ARTIFACT_STORE_DATABASE_URL.',
};

function token(hasToken: boolean): Check {
  if (hasToken) return { name: 'token', level: 'ok', says: 'Requests need a token.', advice: null };
  return {
    name: 'token',
    level: 'note',
    says: 'There is no token: everybody on this machine has full access, and the service listens on loopback only.',
    advice:
      'Set ARTIFACT_STORE_ADMIN_TOKEN, or make a token with `artifact-store token create`, if others use this machine.',
  };
}

export function publicUrl(text: string, { reachable }: Pick<Surroundings, 'reachable'>): Check {
  const name = 'public_url';
  const { protocol, hostname } = new URL(text);
  const says = `Clients reach the service at ${text}`;
  const local = /^(localhost|127\..*|\[::1\])$/.test(hostname);
  if (hostname === '0.0.0.0' || hostname === '[::]' || (local && reachable)) {
    const advice =
      'Set ARTIFACT_STORE_PUBLIC_URL to the URL that clients on other machines use: signed URLs contain it.';
    return { name, level: 'warning', says: `${says}, which other machines cannot reach.`, advice };
  }
  if (protocol === 'http:' && !local) {
    const advice = 'Put a proxy with TLS in front of the service, and set ARTIFACT_STORE_PUBLIC_URL to its https URL.';
    return { name, level: 'warning', says: `${says}, so tokens and bytes travel unencrypted.`, advice };
  }
  return { name, level: 'ok', says: `${says}.`, advice: null };
}

function bytesText(bytes: number): string {
  if (bytes < 1e6) return bytes < 1e3 ? `${bytes} bytes` : `${Math.floor(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.floor(bytes / 1e6)} MB` : `${Math.floor(bytes / 1e9)} GB`;
}
