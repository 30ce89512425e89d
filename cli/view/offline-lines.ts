import type { OfflineVerification } from '../client/offline/verify-offline.ts';
import type { Outcome } from '../command.ts';
import { countOf, formatBytes, formatCount, formatTime, printable } from '../format.ts';
import { sayLeftOut } from './diff-lines.ts';

/** Of a directory that is what was attested: anything else is an error. */
export function offlineOutcome(directory: string, verified: OfflineVerification): Outcome {
  const { statement, key, files, bytes, leftOut, logged } = verified;
  const { package: pkg, manifest, finalized_at } = statement.predicate;
  const read = `${countOf(files, 'file')}, ${formatBytes(bytes)}`;
  const left = sayLeftOut({ directory: leftOut, package: 0 });
  const lines = [
    `${printable(pkg.id)}: ${read} read and hashed, all as attested, none missing and none too many${left}.`,
    `Finalized ${formatTime(finalized_at)} for ${printable(pkg.producer)}; signed with the key ${key.id}.`,
    ...(logged === null
      ? []
      : [
          `That is entry ${formatCount(logged.index)} of the ${formatCount(logged.size)} of ${printable(logged.origin)}.`,
        ]),
  ];
  return {
    json: {
      package_id: pkg.id,
      ok: true,
      directory,
      files,
      bytes,
      left_out: leftOut,
      manifest_digest: `sha256:${manifest.sha256}`,
      finalized_at,
      key_id: key.id,
      log: logged,
    },
    text: lines.join('\n'),
  };
}
