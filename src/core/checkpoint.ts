import { HASH_SIZE } from './merkle.ts';
import { NoteError, noteText } from './signed-note.ts';

/** What a log commits to (c2sp.org/tlog-checkpoint): so many entries, and the root of the tree over them. */
export interface Checkpoint {
  /** Names the log for ever. */
  origin: string;
  size: number;
  /** 32 bytes. */
  root: Buffer;
}

const SIZE = /^(0|[1-9]\d{0,15})$/;
const ROOT = /^[A-Za-z0-9+/]{43}=$/;

/** The text that is signed. */
export function checkpointText({ origin, size, root }: Checkpoint): string {
  return `${origin}\n${size}\n${root.toString('base64')}\n`;
}

/** Further lines are extensions, which say nothing here. @throws NoteError */
export function parseCheckpointText(text: string): Checkpoint {
  const [origin = '', size = '', base64 = ''] = text.split('\n');
  const root = Buffer.from(base64, 'base64');
  const isOne = origin !== '' && SIZE.test(size) && ROOT.test(base64) && root.length === HASH_SIZE;
  if (!isOne || !text.endsWith('\n') || !Number.isSafeInteger(Number(size))) throw new NoteError('is not a checkpoint');
  return { origin, size: Number(size), root };
}

/** Of a signed note, whoever has signed it. @throws NoteError */
export function readCheckpoint(note: string): Checkpoint {
  return parseCheckpointText(noteText(note));
}
