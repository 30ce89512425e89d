import { parentPort } from 'node:worker_threads';
import type { Digest } from '../core/digest.ts';
import { type ErrorCode, type ErrorExtras, isStoreError } from '../core/errors.ts';
import { type CheckPlan, StreamCheck } from './stream-check.ts';

/** Pieces of streams, told apart by number. `forget` follows whatever has happened to a stream. */
export type ToCheckThread = { id: number } & (
  | { plan: CheckPlan }
  | { bytes: Uint8Array }
  | { end: true }
  | { forget: true }
);
export type FromCheckThread = { id: number } & (
  | { taken: true }
  | { digest: Digest | null }
  | { refused: { code: ErrorCode; detail: string; extras: ErrorExtras } }
  | { failed: string }
);

const checks = new Map<number, StreamCheck>();

function answer(message: FromCheckThread): void {
  parentPort?.postMessage(message);
}

function take(message: ToCheckThread): void {
  const { id } = message;
  if ('plan' in message) checks.set(id, new StreamCheck(message.plan));
  else if ('forget' in message) checks.delete(id);
  else if ('bytes' in message) {
    // Of a stream that was refused more may be on its way.
    checks.get(id)?.write(message.bytes);
    answer({ id, taken: true });
  } else {
    const check = checks.get(id);
    if (check) answer({ id, digest: check.end() });
  }
}

parentPort?.on('message', (message: ToCheckThread) => {
  try {
    take(message);
  } catch (error) {
    const { id } = message;
    checks.delete(id);
    if (!isStoreError(error)) answer({ id, failed: String(error) });
    else answer({ id, refused: { code: error.code, detail: error.message, extras: error.extras } });
  }
});
