import type { PublicKey } from '../../../src/core/signing-key.ts';
import type { Statement } from '../../../src/core/statement.ts';
import { CliError, EXIT } from '../../errors.ts';
import { formatCount } from '../../format.ts';
import { checkProof } from '../audit/check-proof.ts';
import { type Evidence, signedCheckpoint } from '../audit/read-evidence.ts';
import { readBounded } from './read-inputs.ts';

/** Where the log has it that a package was finalized. */
export interface Logged {
  /** Names the log. */
  origin: string;
  index: number;
  /** Entries that the checkpoint commits to. */
  size: number;
}

/** More is in neither. */
const TEXT_MAX = 256 * 1024;

/**
 * That the log has the finalization of the package, with the manifest that was attested.
 * @param proof C2SP tlog-proof @param checkpoint a signed one that somebody kept: the proof must lead to it; null: to its own
 * @throws CliError wrong_usage, integrity_failure
 */
export async function checkLogged(
  { proof, checkpoint }: { proof: string; checkpoint: string | null },
  { predicate }: Statement,
  keys: readonly PublicKey[],
): Promise<Logged> {
  const kept = checkpoint === null ? [] : [await readKept(checkpoint, keys)];
  const text = (await readBounded('--proof', proof, TEXT_MAX)).toString();
  const { entry, index, checkpoint: reached } = checkProof(JSON.stringify(proof), text, keys, kept);
  const { origin, size } = reached;
  const other = kept.find((each) => each.checkpoint.size !== size);
  if (other !== undefined)
    throw notProved(
      `${JSON.stringify(proof)} leads to ${sizeOf(size)}, and ${other.from} is ${sizeOf(other.checkpoint.size)}`,
    );
  const store = predicate.store_id === null ? origin : `artifact-store/${predicate.store_id}`;
  if (origin !== store)
    throw notProved(`${JSON.stringify(proof)} is of the log ${JSON.stringify(origin)}, and the package is in ${store}`);
  if (!isFinalization(entry, predicate)) {
    throw notProved(
      `${JSON.stringify(proof)} proves another event: not that ${predicate.package.id} was finalized with this manifest`,
    );
  }
  return { origin, index, size };
}

async function readKept(file: string, keys: readonly PublicKey[]): Promise<Evidence> {
  const from = JSON.stringify(file);
  const note = (await readBounded('--checkpoint', file, TEXT_MAX)).toString();
  return { from, note, checkpoint: signedCheckpoint(from, note, keys) };
}

function sizeOf(size: number): string {
  return `a checkpoint of ${formatCount(size)} ${size === 1 ? 'entry' : 'entries'}`;
}

/** What the service writes into its audit when it finalizes a package. */
function isFinalization(entry: string, { package: pkg, manifest }: Statement['predicate']): boolean {
  const { action, package_id, detail } = eventOf(entry);
  const isOf = action === 'package.finalized' && package_id === pkg.id;
  return isOf && detail?.manifest_digest === `sha256:${manifest.sha256}`;
}

function eventOf(
  entry: string,
): Partial<{ action: string; package_id: string; detail: { manifest_digest?: unknown } }> {
  try {
    return JSON.parse(entry) ?? {};
  } catch {
    return {};
  }
}

/** @param why half a sentence */
function notProved(why: string): CliError {
  return new CliError(`${why}.`, { exit: EXIT.integrity, code: 'integrity_failure' });
}
