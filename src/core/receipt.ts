import { canonicalJson } from './canonical-json.ts';
import { type Envelope, EnvelopeError, openEnvelope, signEnvelope } from './dsse.ts';
import type { FileRule } from './retention.ts';
import type { PublicKey, SigningKey } from './signing-key.ts';
import { MANIFEST_NAME, PAYLOAD_TYPE, STATEMENT_TYPE, type Subject } from './statement.ts';

/**
 * What the service signs of a deletion: an in-toto Statement v1 in a DSSE envelope. docs/attestation.md describes it.
 */
export const DELETION_TYPE = 'urn:artifact-store:deletion:v1';

export interface Deletion {
  /** The whole package, or some of its files whose time was over. */
  action: 'package_deleted' | 'files_deleted';
  package: { id: string; name: string; producer: string; external_id: string | null };
  /** What sealed it. */
  manifest: { sha256: string; size: number };
  /** The id of the decision in storage that it is the receipt of. */
  decision: string;
  /** RFC 3339, UTC. */
  at: string;
  actor: string;
  reason: string | null;
  /** Under which it was allowed. */
  rule: {
    retention_class: string;
    /** Of a package: since then it was eligible; null: it was never finalized. */
    expires_at?: string | null;
    file_rules?: readonly FileRule[];
  };
  /** Where the deletion stands in the audit log. */
  log: { origin: string; event: string; index: number; leaf_sha256: string };
  store_id: string | null;
  /** What the subjects are: the files that were removed, or the manifest that names them. */
  subjects: 'files' | 'manifest';
}

export interface DeletionStatement {
  _type: typeof STATEMENT_TYPE;
  subject: Subject[];
  predicateType: typeof DELETION_TYPE;
  predicate: Deletion;
}

/** @param files that were removed; null: too many to be named, or all of them: the manifest names them */
export function deletionStatement(
  predicate: Omit<Deletion, 'subjects'>,
  files: readonly Subject[] | null,
): DeletionStatement {
  const manifest = { name: MANIFEST_NAME, digest: { sha256: predicate.manifest.sha256 } };
  return {
    _type: STATEMENT_TYPE,
    subject: files === null ? [manifest] : [...files],
    predicateType: DELETION_TYPE,
    predicate: { ...predicate, subjects: files === null ? 'manifest' : 'files' },
  };
}

export function signDeletion(statement: DeletionStatement, key: SigningKey): Envelope {
  return signEnvelope(PAYLOAD_TYPE, Buffer.from(canonicalJson(statement)), key);
}

/** The deletion that one of these keys has signed. @throws EnvelopeError */
export function openDeletion(envelope: Envelope, keys: readonly PublicKey[]): DeletionStatement {
  const { payload } = openEnvelope(envelope, PAYLOAD_TYPE, keys);
  let said: Partial<DeletionStatement> | null;
  try {
    said = JSON.parse(payload.toString('utf8')) as Partial<DeletionStatement> | null;
  } catch (cause) {
    throw new EnvelopeError('holds no JSON', { cause });
  }
  const { decision, package: pkg } = said?.predicate ?? ({} as Partial<Deletion>);
  const isDeletion = said?._type === STATEMENT_TYPE && said.predicateType === DELETION_TYPE;
  if (!isDeletion || !Array.isArray(said?.subject) || typeof decision !== 'string' || typeof pkg?.id !== 'string') {
    throw new EnvelopeError(`holds no deletion (${DELETION_TYPE})`);
  }
  return said as DeletionStatement;
}
