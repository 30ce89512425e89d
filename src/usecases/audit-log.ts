import { StoreError } from '../core/errors.ts';
import type { SigningKey } from '../core/signing-key.ts';
import type { StoreId } from '../core/store-identity.ts';
import type { LogCheckpoint } from '../registry/log.ts';
import { adoptLog } from './adopt-log.ts';
import { integrateEvents } from './extend-log.ts';
import type { AuditLog, Services, WithObjects } from './services.ts';
import { writeCheckpoint } from './write-checkpoint.ts';

/** A checkpoint is made at least after so many events, and so long after the one before; ms. */
const EVENTS_MAX = 1_000;
const AGE_MAX_MS = 10 * 60_000;

interface LogNeeds extends Pick<Services<WithObjects>, 'registry' | 'blobs' | 'log'> {
  storeId: () => StoreId | null;
  /** The one that signs now, which is known before it signs. */
  key: () => Promise<SigningKey>;
}

/** The audit's log of one service. In it one thing is done after the other; several services share the registry and the store. */
export function auditLog(needs: LogNeeds): AuditLog {
  const { registry } = needs;
  let adopted = false;
  let last: Promise<unknown> = Promise.resolve();

  /** After all that was asked for before. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = last.then(work, work);
    last = done.catch(() => {});
    return done;
  }

  function origin(): string {
    const id = needs.storeId();
    if (id !== null) return `artifact-store/${id}`;
    throw new StoreError('unavailable', 'It is not known yet whether the store belongs to this registry.');
  }

  async function integrate(signal?: AbortSignal): Promise<void> {
    if (!adopted) await adoptLog(needs, origin());
    adopted = true;
    await integrateEvents(registry, signal);
  }

  async function checkpoint(): Promise<LogCheckpoint> {
    await integrate();
    return writeCheckpoint(needs, origin(), needs.key);
  }

  async function isDue(): Promise<boolean> {
    const [{ size }, newest] = [await registry.read.log.head(), await registry.read.log.newestWritten()];
    if (newest === null) return size > 0;
    if (size - newest.size >= EVENTS_MAX) return true;
    return size > newest.size && (await registry.read.now()) - newest.at >= AGE_MAX_MS;
  }

  return {
    origin,
    checkpoint: () => inTurn(checkpoint),
    keepUp: (signal) =>
      inTurn(async () => {
        await integrate(signal);
        if (await isDue()) await writeCheckpoint(needs, origin(), needs.key, signal);
      }),
  };
}
