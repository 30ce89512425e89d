import { type Checkpoint, parseCheckpointText, readCheckpoint } from './checkpoint.ts';
import { HASH_SIZE, leafHash, rootByInclusion } from './merkle.ts';
import { NoteError, openNote, type Verifier } from './signed-note.ts';

/**
 * That an entry is in a log (c2sp.org/tlog-proof): one text that needs nothing beside it but the log's key. `extra` is the entry
 * itself here, so that the proof says what it proves.
 */
export interface LogProof {
  entry: Buffer;
  index: number;
  hashes: Buffer[];
  /** The signed checkpoint. */
  note: string;
}

const HEADER = 'c2sp.org/tlog-proof@v1';
/** A tree of more levels has more entries than can be counted here. */
const HASHES_MAX = 63;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

export function proofText({ entry, index, hashes, note }: LogProof): string {
  const lines = [HEADER, `extra ${entry.toString('base64')}`, `index ${index}`];
  return `${[...lines, ...hashes.map((hash) => hash.toString('base64'))].join('\n')}\n\n${note}`;
}

/** @throws NoteError */
export function parseProof(text: string): LogProof {
  const at = text.indexOf('\n\n');
  const [header, extra = '', place = '', ...rest] = text.slice(0, Math.max(0, at)).split('\n');
  const [, base64] = /^extra (\S+)$/.exec(extra) ?? [];
  const [, index] = /^index (0|[1-9]\d{0,15})$/.exec(place) ?? [];
  if (header !== HEADER) throw new NoteError(`is not a proof: it does not begin with ${HEADER}`);
  if (base64 === undefined || !BASE64.test(base64)) throw new NoteError('is a proof that does not say of which entry');
  const hashes = rest.map((line) => (BASE64.test(line) ? Buffer.from(line, 'base64') : Buffer.alloc(0)));
  const isOne =
    index !== undefined && hashes.length <= HASHES_MAX && hashes.every(({ length }) => length === HASH_SIZE);
  if (!isOne) throw new NoteError('is not a proof of an entry');
  return { entry: Buffer.from(base64, 'base64'), index: Number(index), hashes, note: text.slice(at + 2) };
}

/**
 * The entry that a proof shows to be in the log, and the checkpoint that it is under. @param verifiers keys of the log; null: nobody's
 * signature is asked for, and the checkpoint is to be compared with one that is known @throws NoteError
 */
export function openProof(
  text: string,
  verifiers: readonly Verifier[] | null,
): { entry: Buffer; index: number; checkpoint: Checkpoint } {
  const { entry, index, hashes, note } = parseProof(text);
  const checkpoint = verifiers === null ? readCheckpoint(note) : parseCheckpointText(openNote(note, verifiers).text);
  const root = rootByInclusion(index, checkpoint.size, leafHash(entry), hashes);
  if (root === null || !root.equals(checkpoint.root)) {
    throw new NoteError('does not prove its entry: it leads to another root than the checkpoint has');
  }
  return { entry, index, checkpoint };
}
