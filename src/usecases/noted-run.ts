import { isStoreError } from '../core/errors.ts';
import type { RunFailure } from '../registry/runs.ts';
import type { Services } from './services.ts';

/** How often a run says in the registry how far it is, ms. */
const NOTE_MS = 2_000;

/**
 * Work that goes on after its answer. It is noted however long a step takes: who is not heard of counts as interrupted.
 * @param name for the log: `a sweep` @param note says in the registry how far it is
 * @returns why it ended early, in words for whoever asked for it; null: it is done
 */
export async function notedRun(
  { log }: Pick<Services, 'log'>,
  { name, id }: { name: string; id: string },
  note: () => Promise<void>,
  work: () => Promise<void>,
  signal: AbortSignal,
): Promise<RunFailure | null> {
  const beat = setInterval(() => {
    note().catch((err: unknown) => log.warn({ err, run: id }, `${name} is not noted`));
  }, NOTE_MS);
  try {
    await work();
    return null;
  } catch (thrown) {
    log.warn({ err: thrown, run: id }, `${name} failed`);
    if (isStoreError(thrown)) return { code: thrown.code, message: thrown.message };
    if (signal.aborted) return { code: 'unavailable', message: 'The service was stopped.' };
    return { code: 'internal', message: 'The service failed; its log says why.' };
  } finally {
    clearInterval(beat);
  }
}
