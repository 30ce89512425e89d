import type { Package } from '../../src/api/types.ts';
import { countDifferences, type Differences, differenceLines } from '../client/compare.ts';
import type { Verification } from '../client/verify.ts';
import type { Outcome } from '../command.ts';
import { EXIT } from '../errors.ts';
import { countOf, formatBytes, printable } from '../format.ts';

/** What a verification found; `differences` when a directory was compared too. */
export function verifyOutcome(pkg: Package, found: Verification, differences: Differences | null): Outcome {
  const { files, bytes, failures } = found;
  const different = differences === null ? 0 : countDifferences(differences);
  const ok = failures.length === 0 && different === 0;
  const read = `${countOf(files, 'file')}, ${formatBytes(bytes)}`;
  const lines = [
    ...failures.map(({ detail }) => printable(detail)),
    ...(differences === null ? [] : differenceLines(differences, Number.POSITIVE_INFINITY).map(printable)),
    ok
      ? `${pkg.id}: ${read} read and hashed, all as ${pkg.manifest_digest === null ? 'registered' : 'the manifest says'}${differences === null ? '' : ' and the directory has them'}.`
      : `${pkg.id}: ${read} read; ${countOf(failures.length, 'file')} with other bytes${differences === null ? '' : `, ${countOf(different, 'difference')} to the directory`}.`,
  ];
  return {
    json: {
      package_id: pkg.id,
      ok,
      manifest_digest: pkg.manifest_digest,
      files,
      bytes,
      failures,
      ...(differences === null ? {} : { differences }),
    },
    text: lines.join('\n'),
    exit: ok ? EXIT.done : EXIT.integrity,
  };
}
