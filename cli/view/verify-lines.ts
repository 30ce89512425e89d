import type { Package } from '../../src/api/types.ts';
import { countDifferences, differenceLines } from '../client/compare.ts';
import type { Comparison } from '../client/compare-directory.ts';
import { MEND } from '../client/mend.ts';
import type { Verification } from '../client/pull/verify.ts';
import type { Outcome } from '../command.ts';
import { EXIT } from '../errors.ts';
import { countOf, formatBytes, printable } from '../format.ts';
import { sayLeftOut } from './diff-lines.ts';

/** What a verification found; `comparison` when a directory was compared too. */
export function verifyOutcome(pkg: Package, found: Verification, comparison: Comparison | null): Outcome {
  const { files, bytes, failures, deleted } = found;
  const differences = comparison?.differences ?? null;
  const different = differences === null ? 0 : countDifferences(differences);
  const ok = failures.length === 0 && different === 0;
  const read = `${countOf(files, 'file')}, ${formatBytes(bytes)}`;
  const gone = `${countOf(deleted.length, 'file')} ${deleted.length === 1 ? 'was' : 'were'} removed when ${deleted.length === 1 ? 'its' : 'their'} time was over`;
  const lines = [
    ...failures.map(({ detail }) => printable(detail)),
    ...(differences === null ? [] : differenceLines(differences, Number.POSITIVE_INFINITY).map(printable)),
    ok
      ? `${pkg.id}: ${read} read and hashed, all as ${pkg.manifest_digest === null ? 'registered' : 'the manifest says'}${comparison === null ? '' : ` and the directory has them${sayLeftOut(comparison.leftOut)}`}.`
      : `${pkg.id}: ${read} read; ${countOf(failures.length, 'file')} wrong or missing${differences === null ? '' : `, ${countOf(different, 'difference')} to the directory`}.`,
    ...(failures.length === 0 ? [] : [MEND]),
    ...(deleted.length === 0 ? [] : [`${gone}: the manifest still says which.`]),
  ];
  return {
    json: {
      package_id: pkg.id,
      ok,
      manifest_digest: pkg.manifest_digest,
      files,
      bytes,
      deleted: deleted.length,
      failures,
      ...(comparison === null ? {} : { differences, left_out: comparison.leftOut }),
    },
    text: lines.join('\n'),
    exit: ok ? EXIT.done : EXIT.integrity,
  };
}
