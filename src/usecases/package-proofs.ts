import { attestationKey } from '../blobs/key-layout.ts';
import { digestHex } from '../core/digest.ts';
import { EnvelopeError, parseEnvelope } from '../core/dsse.ts';
import type { PackageId } from '../core/ids.ts';
import { openStatement } from '../core/statement.ts';
import type { PackageRecord } from '../registry/packages.ts';
import { readPackage } from './access.ts';
import { readSmall } from './read-small.ts';
import type { Caller, Services, WithReader } from './services.ts';
import { knownKeys } from './signing-keys.ts';

/** Bytes of an attestation that is read and checked while somebody waits, and others do: a few tens of ms. */
const CHECKED_MAX = 4 * 1024 ** 2;
/** Files whose objects are asked after. */
const FILES_MAX = 2_000;

/** What speaks for a package: what was signed, what was logged, and when its bytes were read last. */
export interface PackageProofs {
  /** Null: it has none. `unchecked`: it is too long to be checked for a page. */
  attestation: { key: string } | { problem: string } | 'unchecked' | null;
  /** Its finalizing in the audit's log. Null: the caller may not read the audit, or it is not logged. */
  log: { index: number; checkpoint: { size: number; at: number } | null } | null;
  fixity: {
    objects: number;
    /** When that of its objects was read which was read the longest time ago, ms. */
    oldest_seen_at: number | null;
    /** Of them, found damaged or missing. */
    bad: number;
    /** It has more files than were looked at. */
    more: boolean;
  };
}

/** @param audit whether the caller may read the audit */
export async function packageProofs(
  services: Services<WithReader>,
  caller: Caller,
  id: PackageId,
  audit: boolean,
): Promise<PackageProofs> {
  const { read } = services.registry;
  const pkg = await readPackage(read, caller, id);
  return {
    attestation: await attested(services, pkg),
    log: audit ? await logged(services, caller, id) : null,
    fixity: {
      ...(await read.checks.lookedAt(await read.files.objectsOfPage(id, null, FILES_MAX))),
      more: pkg.file_count > FILES_MAX,
    },
  };
}

/** Read from storage, and checked as anybody would who has the public key. */
async function attested(services: Services<WithReader>, pkg: PackageRecord): Promise<PackageProofs['attestation']> {
  const object = pkg.attestation_digest && (await services.registry.read.blobs.getObjectByKey(attestationKey(pkg.id)));
  if (!object || pkg.manifest_digest === null) return null;
  if (object.size > CHECKED_MAX) return 'unchecked';
  try {
    const bytes = await readSmall(services.blobs.objects, attestationKey(pkg.id), CHECKED_MAX, object.version_id);
    const { statement, key } = openStatement(parseEnvelope(bytes), await knownKeys(services));
    const { package: named, manifest } = statement.predicate;
    if (named.id === pkg.id && manifest.sha256 === digestHex(pkg.manifest_digest)) return { key: key.id };
    return { problem: 'it is about another package or another list of files' };
  } catch (error) {
    if (error instanceof EnvelopeError) return { problem: `it ${error.message}` };
    services.log.warn({ err: error, package: pkg.id }, 'an attestation could not be read');
    return { problem: 'storage could not read it' };
  }
}

async function logged({ registry }: Services, caller: Caller, id: PackageId): Promise<PackageProofs['log']> {
  const { audit, log } = registry.read;
  const { events } = await audit.page({ package_id: id, action: 'package.finalized' }, caller.reads, 0, 1);
  const index = events[0] === undefined ? null : await log.placeOf(events[0].seq);
  if (index === null) return null;
  const newest = await log.newestWritten();
  return { index, checkpoint: newest !== null && index < newest.size ? { size: newest.size, at: newest.at } : null };
}
