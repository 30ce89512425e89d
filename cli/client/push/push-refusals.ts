import type { Package } from '../../../src/api/types.ts';
import { CliError, EXIT } from '../../errors.ts';
import { countDifferences, type Differences, differenceLines, summarizeDifferences } from '../compare.ts';
import { MEND } from '../mend.ts';
import type { LeftOut } from '../tree/left-out.ts';
import { type Asked, type AskedDifference, askedLines, type ClassDays, finalizedRemedy, REVISION } from './asked.ts';
import type { PushOptions } from './push-order.ts';

/** What an existing package is compared with. */
export function askedBy(
  { derived, externalId, fileRules, metadata, name, producer, retentionClass, subject }: PushOptions,
  leftOut: LeftOut | null,
): Asked {
  const given: Asked = { producer, external_id: externalId, retention_class: retentionClass };
  return derived ? given : { ...given, name, subject, metadata, file_rules: fileRules, left_out: leftOut };
}

/** Of the files that the store has lost, so many are named. */
export const LOST_SHOWN = 100;

/** The package is what is pushed, and the store has not all of it any more. @param paths at most one more than are shown */
export function lostInStore({ id }: Package, paths: readonly string[]): CliError {
  const shown = paths.slice(0, LOST_SHOWN);
  const more = paths.length > LOST_SHOWN ? `at least ${LOST_SHOWN}` : paths.length - 1;
  const others = more === 0 ? '' : ` and ${more} more`;
  return new CliError(
    `${id} has these files, but the store has lost the bytes of ${JSON.stringify(shown[0])}${others}: they are damaged or gone, and there is no other copy.`,
    {
      exit: EXIT.integrity,
      code: 'integrity_failure',
      next: `Keep this directory. ${MEND}`,
      extras: { package_id: id, paths: shown },
    },
  );
}

/** Nothing is changed automatically: a finalized package stays what it is. */
export function differs(
  pkg: Package,
  files: Differences,
  asked: readonly AskedDifference[],
  classes: ClassDays,
): CliError {
  const content = countDifferences(files) > 0;
  const lines = [
    ...(content ? [`The directory differs from ${pkg.id}, which is finalized:`, ...differenceLines(files)] : []),
    ...(asked.length > 0 ? [`${pkg.id} is finalized, and differs from what you ask for:`, ...askedLines(asked)] : []),
  ];
  return new CliError(lines.join('\n'), {
    exit: EXIT.refused,
    code: 'package_differs',
    next: content ? REVISION : finalizedRemedy(pkg, asked, classes),
    extras: {
      package_id: pkg.id,
      ...(content ? { differences: summarizeDifferences(files) } : {}),
      ...(asked.length > 0 ? { asked } : {}),
    },
  });
}

/** @throws CliError for a package that takes no files */
export function assertUsable(pkg: Package): void {
  if (pkg.status !== 'failed' && pkg.status !== 'deleted') return;
  throw new CliError(`Package ${pkg.id} is ${pkg.status}: it accepts no files.`, {
    exit: EXIT.refused,
    code: pkg.status === 'failed' ? 'package_failed' : 'package_deleted',
    next: 'Push without --resume: that creates a new package.',
    extras: { package_id: pkg.id },
  });
}
