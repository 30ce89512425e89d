import { SECRET_PLACES_MAX, type SecretPlace, type SecretRecord } from '../../../src/core/secret-record.ts';
import type { Baseline } from './baseline.ts';
import type { FoundSecret } from './find-secrets.ts';

/** All secrets of a directory. */
export interface SecretFindings {
  count: number;
  accepted: number;
  by: Record<string, number>;
  /** The first ones, in the order of paths. */
  places: SecretPlace[];
  /** The first ones that are not accepted. */
  open: SecretPlace[];
}

const PLACES_MAX = 1_000;
/** Of a record, in the package's metadata. */
const RECORD_MAX_BYTES = 32 * 1024;

/** @param files each with what was found in it, in the order of paths */
export function collectSecrets(
  files: Iterable<{ path: string; secrets: readonly FoundSecret[] }>,
  baseline: Baseline,
): SecretFindings {
  const findings: SecretFindings = { count: 0, accepted: 0, by: {}, places: [], open: [] };
  for (const { path, secrets } of files) {
    for (const secret of secrets) {
      const { line, kind } = secret;
      const place = { path, line, kind, accepted: baseline.accepts(path, secret) };
      findings.count += 1;
      findings.by[kind] = (findings.by[kind] ?? 0) + 1;
      if (place.accepted) findings.accepted += 1;
      if (findings.places.length < PLACES_MAX) findings.places.push(place);
      if (!place.accepted && findings.open.length < PLACES_MAX) findings.open.push(place);
    }
  }
  return findings;
}

/** What is kept with the package. @returns null when there is nothing to say */
export function recordOf({ count, accepted, by, places }: SecretFindings): SecretRecord | null {
  if (count === 0) return null;
  let bytes = 0;
  const fits = (place: SecretPlace): boolean => {
    bytes += JSON.stringify(place).length;
    return bytes <= RECORD_MAX_BYTES;
  };
  const first = places.slice(0, SECRET_PLACES_MAX);
  const behind = first.findIndex((place) => !fits(place));
  return { count, accepted, by, places: behind === -1 ? first : first.slice(0, behind) };
}
