import { readlinkSync, readSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort } from 'node:worker_threads';
import type { Digest } from '../core/digest.ts';
import { type ErrorCode, type ErrorExtras, isStoreError } from '../core/errors.ts';
import { ObjectSurvey, type SurveyFindings, type SurveyPlan } from '../core/object-survey.ts';
import type { Salvaged } from '../core/pack-salvage.ts';
import { Examination, type Examined } from './examination.ts';
import { Salvage } from './salvage.ts';
import { type CheckPlan, StreamCheck } from './stream-check.ts';

/** Bytes of a stream; the thread gives them back to be filled again. */
export type Block = Uint8Array<ArrayBuffer>;

/**
 * Blocks of streams, told apart by number; or an open file of the process, which is read here to its end. `forget` follows
 * whatever has happened to a stream.
 */
export type ToCheckThread = { id: number } & (
  | { plan: CheckPlan }
  | { survey: SurveyPlan }
  | { examine: Uint8Array | null }
  | { salvage: Uint8Array | null }
  | { block: Block; filled: number }
  | { end: true }
  | { file: number }
  | { forget: true }
);
export type FromCheckThread = { id: number } & (
  | { taken: Block }
  | { result: Digest | SurveyFindings | Examined | Salvaged | null }
  | { refused: { code: ErrorCode; detail: string; extras: ErrorExtras } }
  | { failed: string }
);

/** So much of a file is read at once; then others get their turn. */
const READ_SIZE = 512 * 1024;

const NICER_BY = 10;
const NICEST = 19;

/**
 * Where all cores are busy, requests that wait for no bytes come first. Linux has priorities of threads, and calls this one
 * `<process>/task/<thread>`.
 */
function giveWay(): void {
  try {
    const [own, thread] = readlinkSync('/proc/thread-self').split('/task/');
    // Of another namespace of processes the numbers are somebody else's.
    if (own === String(process.pid)) setPriority(Number(thread), Math.min(NICEST, getPriority(process.pid) + NICER_BY));
  } catch {
    // No Linux, or no /proc: then it takes part like any other.
  }
}

const checks = new Map<number, StreamCheck | ObjectSurvey | Examination | Salvage>();
const buffer = Buffer.allocUnsafeSlow(READ_SIZE);

function answer(message: FromCheckThread, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, transfer);
}

function take(message: ToCheckThread): void {
  const { id } = message;
  if ('plan' in message) checks.set(id, new StreamCheck(message.plan));
  else if ('survey' in message) checks.set(id, new ObjectSurvey(message.survey));
  else if ('examine' in message) checks.set(id, new Examination(message.examine));
  else if ('salvage' in message) checks.set(id, new Salvage(message.salvage));
  else if ('forget' in message) checks.delete(id);
  else if ('file' in message) readFile(id, message.file).catch((error: unknown) => refuse(id, error));
  else if ('block' in message) {
    const { block, filled } = message;
    // Of a stream that was refused more may be on its way.
    checks.get(id)?.write(block.subarray(0, filled));
    answer({ id, taken: block }, [block.buffer]);
  } else {
    const check = checks.get(id);
    if (check) answer({ id, result: check.end() });
  }
}

/** Until its end, until something is wrong with it, or until nobody waits for it any more. */
async function readFile(id: number, file: number): Promise<void> {
  let position = 0;
  while (true) {
    const check = checks.get(id);
    if (!check) return;
    const count = readSync(file, buffer, 0, READ_SIZE, position);
    if (count === 0) return answer({ id, result: check.end() });
    check.write(buffer.subarray(0, count));
    position += count;
    await nextTurn();
  }
}

function refuse(id: number, error: unknown): void {
  checks.delete(id);
  if (!isStoreError(error)) answer({ id, failed: String(error) });
  else answer({ id, refused: { code: error.code, detail: error.message, extras: error.extras } });
}

giveWay();
parentPort?.on('message', (message: ToCheckThread) => {
  try {
    take(message);
  } catch (error) {
    refuse(message.id, error);
  }
});
