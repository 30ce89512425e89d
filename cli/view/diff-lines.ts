import { countDifferences, differenceLines } from '../client/compare.ts';
import type { Comparison } from '../client/compare-directory.ts';
import type { Outcome } from '../command.ts';
import { EXIT } from '../errors.ts';
import { formatCount, printable } from '../format.ts';

/** Like diff(1); also says what was not compared. */
export function diffOutcome(packageId: string, { differences, leftOut }: Comparison): Outcome {
  const equal = countDifferences(differences) === 0;
  const lines = equal
    ? [`Equal${sayLeftOut(leftOut)}.`]
    : differenceLines(differences, Number.POSITIVE_INFINITY).map(printable);
  return {
    json: { package_id: packageId, equal, ...differences, left_out: leftOut },
    text: lines.join('\n'),
    exit: equal ? EXIT.done : EXIT.failed,
  };
}

/** Half a sentence; empty when everything was compared. */
export function sayLeftOut({ directory, package: ofPackage }: Comparison['leftOut']): string {
  if (directory === 0 && ofPackage === 0) return '';
  return `, but for what is left out (${formatCount(directory)} in the directory, ${formatCount(ofPackage)} in the package)`;
}
