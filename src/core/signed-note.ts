import { hash } from 'node:crypto';
import { type PublicKey, publicKeyFromRaw, type SigningKey } from './signing-key.ts';

/*
 * A text and signatures of it (c2sp.org/signed-note): lines, an empty line, and a line for each signature, which names its key. The
 * type of a key is in its id, so that other schemes can sign beside Ed25519.
 */

/** Whose signatures count: a key, and what it is called. */
export interface Verifier {
  name: string;
  key: PublicKey;
}

/** It is no note, or nobody known has signed it; `message` says which. */
export class NoteError extends Error {
  override readonly name = 'NoteError';
}

const ED25519 = 1;
const ID_SIZE = 4;
const SIGNATURE_LINE = /^\u2014 ([^ +\n]+) ([A-Za-z0-9+/]+={0,2})$/u;
const NAME = /^[^\s+]+$/u;
/** So many signatures are looked at, and so many bytes of a note: tlog-cosignature asks for 16 at least. */
const SIGNATURES_MAX = 100;
const NOTE_MAX_BYTES = 1_000_000;

function keyBytes({ raw }: PublicKey): Buffer {
  return Buffer.concat([Buffer.from([ED25519]), raw]);
}

/** The first four bytes of SHA-256 over name, line feed, type and key. */
function keyId({ name, key }: Verifier): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from(`${name}\n`), keyBytes(key)]), 'buffer').subarray(0, ID_SIZE);
}

/** As programs that check notes are told of a key: `name+id+key`. */
export function verifierText(verifier: Verifier): string {
  return `${verifier.name}+${keyId(verifier).toString('hex')}+${keyBytes(verifier.key).toString('base64')}`;
}

/** @throws NoteError */
export function parseVerifier(text: string): Verifier {
  const [, name, id, base64] = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})$/u.exec(text.trim()) ?? [];
  const bytes = Buffer.from(base64 ?? '', 'base64');
  if (name === undefined || bytes[0] !== ED25519 || bytes.length !== 33) {
    throw new NoteError('is not a verifier key of Ed25519: name+id+key');
  }
  const verifier = { name, key: publicKeyFromRaw(bytes.subarray(1)) };
  if (keyId(verifier).toString('hex') !== id) throw new NoteError('is not a verifier key: its id is that of another');
  return verifier;
}

/** @param text ends with a line feed @throws NoteError for a name or a text that no note can have */
export function signNote(text: string, name: string, key: SigningKey): string {
  if (!NAME.test(name)) throw new NoteError(`${JSON.stringify(name)} is no name of a key`);
  if (!text.endsWith('\n') || text.startsWith('\n') || text.includes('\n\n')) {
    throw new NoteError('a text of a note is lines, none of them empty');
  }
  const signature = Buffer.concat([keyId({ name, key: key.publicKey }), key.sign(Buffer.from(text))]);
  return `${text}\n\u2014 ${name} ${signature.toString('base64')}\n`;
}

/** The text of a note without a look at its signatures. @throws NoteError */
export function noteText(note: string): string {
  return split(note).text;
}

/**
 * The text that one of these has signed, and who. Signatures of others say nothing; a wrong one of these is an error.
 * @throws NoteError
 */
export function openNote(note: string, verifiers: readonly Verifier[]): { text: string; verifier: Verifier } {
  const { text, signatures } = split(note);
  let found: Verifier | null = null;
  for (const { name, bytes } of signatures) {
    const verifier = verifiers.find((each) => each.name === name && keyId(each).equals(bytes.subarray(0, ID_SIZE)));
    if (verifier === undefined) continue;
    if (!verifier.key.verifies(Buffer.from(text), bytes.subarray(ID_SIZE))) {
      throw new NoteError(`has a wrong signature of ${name}`);
    }
    found ??= verifier;
  }
  if (found === null) throw new NoteError(`is not signed by ${verifiers.map(verifierText).join(' or ')}`);
  return { text, verifier: found };
}

function split(note: string): { text: string; signatures: Array<{ name: string; bytes: Buffer }> } {
  if (Buffer.byteLength(note) > NOTE_MAX_BYTES) throw new NoteError('is longer than a note may be');
  const at = note.lastIndexOf('\n\n');
  if (at < 1 || !note.endsWith('\n')) throw new NoteError('is not a signed note');
  const lines = note.slice(at + 2, -1).split('\n');
  if (lines.length > SIGNATURES_MAX) throw new NoteError('has more signatures than a note may have');
  const signatures = lines.map((line) => {
    const [, name, base64] = SIGNATURE_LINE.exec(line) ?? [];
    const bytes = Buffer.from(base64 ?? '', 'base64');
    if (name === undefined || bytes.length <= ID_SIZE) throw new NoteError('has a line that is no signature');
    return { name, bytes };
  });
  return { text: note.slice(0, at + 1), signatures };
}
