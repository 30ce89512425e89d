import { canonicalJson, type JsonObject } from './canonical-json.ts';
import { type Envelope, EnvelopeError, openEnvelope, signEnvelope } from './dsse.ts';
import type { ManifestPackage } from './manifest.ts';
import { parseJson } from './parse-json.ts';
import type { PublicKey, SigningKey } from './signing-key.ts';

/**
 * What the service attests of a finalized package: an in-toto Statement v1 (github.com/in-toto/attestation) in a DSSE envelope.
 * docs/attestation.md describes it.
 */
export const STATEMENT_TYPE = 'https://in-toto.io/Statement/v1';
export const PAYLOAD_TYPE = 'application/vnd.in-toto+json';
export const PREDICATE_TYPE = 'urn:artifact-store:preservation:v1';

/** Of a package with more files its manifest is the only subject, and names them. */
export const SUBJECTS_MAX = 10_000;
/** The name of that subject. */
export const MANIFEST_NAME = 'manifest.json';
/** No envelope of ours has more bytes: paths have 1,024 at most, and metadata has bounds. */
export const ENVELOPE_MAX_BYTES = 64 * 1024 ** 2;

export interface Subject {
  /** The file's path in the package; or MANIFEST_NAME. */
  name: string;
  /** 64 hex digits. */
  digest: { sha256: string };
}

export interface Preservation {
  package: Pick<ManifestPackage, 'id' | 'name' | 'producer' | 'subject' | 'external_id' | 'supersedes'>;
  /** Of the producer's metadata: repository → commit. */
  source_commits: JsonObject;
  retention_class: string;
  /** RFC 3339, UTC. */
  created_at: string;
  finalized_at: string;
  manifest: { sha256: string; size: number };
  file_count: number;
  total_size: number;
  /** Null: the store had no id yet. */
  store_id: string | null;
  /** What the statement's subjects are: the package's files, or its manifest alone. */
  subjects: 'files' | 'manifest';
}

export interface Statement {
  _type: typeof STATEMENT_TYPE;
  subject: Subject[];
  predicateType: typeof PREDICATE_TYPE;
  predicate: Preservation;
}

/** @param files by path; read only when there are at most SUBJECTS_MAX */
export async function statementOf(
  predicate: Omit<Preservation, 'subjects'>,
  files: () => AsyncIterable<ReadonlyArray<{ path: string; sha256: string }>>,
): Promise<Statement> {
  const named = predicate.file_count <= SUBJECTS_MAX;
  const subject: Subject[] = [];
  if (named) {
    for await (const page of files()) {
      for (const { path, sha256 } of page) subject.push({ name: path, digest: { sha256 } });
    }
  } else subject.push({ name: MANIFEST_NAME, digest: { sha256: predicate.manifest.sha256 } });
  return {
    _type: STATEMENT_TYPE,
    subject,
    predicateType: PREDICATE_TYPE,
    predicate: { ...predicate, subjects: named ? 'files' : 'manifest' },
  };
}

export function signStatement(statement: Statement, key: SigningKey): Envelope {
  return signEnvelope(PAYLOAD_TYPE, Buffer.from(canonicalJson(statement)), key);
}

const HEX = /^[0-9a-f]{64}$/;

/** Whether it says what is read of it; a later version may say more. */
function isStatement(said: unknown): said is Statement {
  const { _type, subject, predicateType, predicate } = (said ?? {}) as Partial<Statement>;
  if (_type !== STATEMENT_TYPE || predicateType !== PREDICATE_TYPE || !Array.isArray(subject)) return false;
  if (!subject.every((each) => typeof each?.name === 'string' && HEX.test(String(each.digest?.sha256)))) return false;
  const { package: pkg, manifest, subjects, file_count, finalized_at } = (predicate ?? {}) as Partial<Preservation>;
  const counts = [manifest?.size, file_count].every((count) => Number.isSafeInteger(count));
  const names = [pkg?.id, pkg?.producer, finalized_at].every((name) => typeof name === 'string');
  return counts && names && HEX.test(String(manifest?.sha256)) && (subjects === 'files' || subjects === 'manifest');
}

/** The statement that one of these keys has signed. @throws EnvelopeError */
export function openStatement(
  envelope: Envelope,
  keys: readonly PublicKey[],
): { statement: Statement; key: PublicKey } {
  const { payload, key } = openEnvelope(envelope, PAYLOAD_TYPE, keys);
  let said: unknown;
  try {
    said = parseJson(payload.toString('utf8'));
  } catch (cause) {
    throw new EnvelopeError('holds no JSON', { cause });
  }
  if (!isStatement(said)) throw new EnvelopeError(`holds no statement of a package (${PREDICATE_TYPE})`);
  return { statement: said, key };
}
