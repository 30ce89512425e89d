import type { PartRequest } from '../../../src/api/types.ts';
import type { HttpProxy } from '../../../src/core/proxy.ts';
import { CliError, EXIT } from '../../errors.ts';
import { noConnection } from '../api/no-connection.ts';
import { notAStore } from '../api/not-a-store.ts';
import type { SentObject } from './objects.ts';

export function storageUnreachable(
  object: SentObject,
  { url }: PartRequest,
  error: unknown,
  proxy: HttpProxy | null,
): CliError {
  const sentence = `Cannot send ${object.label} to the storage at ${new URL(url).origin}`;
  const next = 'Run the same command again later: what is stored is not sent again.';
  return noConnection({ who: 'storage', url, proxy, next, sentence, extras: object.named() }, error);
}

/** How long the service may take to read an object back (ms): ten minutes, and a second for each 5 MB. */
export function verifyingMost(size: number): number {
  return 600_000 + size / 5_000;
}

export function stillVerifying(object: SentObject): CliError {
  return new CliError(`The service has not finished verifying ${object.label}.`, {
    exit: EXIT.failed,
    code: 'unavailable',
    next: 'Run the same command again later: what is stored is not sent again.',
    extras: object.named(),
  });
}

/** A part is bytes of its object, and its own headers say nothing else. @throws CliError unreachable */
export function assertPart(url: string, { offset, size, headers }: PartRequest, objectSize: number): void {
  if (offset + size > objectSize) throw notAStore(url, 'a part that it planned lies outside its object');
  const length = Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-length')?.[1];
  if (length === undefined || length === String(size)) return;
  throw notAStore(url, 'a part that it planned has another length than its headers say');
}

export function gaveUp(object: SentObject, rounds: number, why: string): CliError {
  return new CliError(`${object.label} could not be stored in ${rounds} attempts: ${why}`, {
    exit: EXIT.failed,
    code: 'upload_abandoned',
    next: 'Run the same command again later: what is stored is not sent again.',
    extras: object.named(),
  });
}
