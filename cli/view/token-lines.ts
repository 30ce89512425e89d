import { type RuleTrial, sayUnmet } from '../../src/core/identity-rules.ts';
import type { Examined } from '../../src/oidc/examine-token.ts';
import type { Outcome } from '../command.ts';
import { EXIT } from '../errors.ts';
import { printable } from '../format.ts';
import { alignLines, type Line } from './lines.ts';

/** What became of a JWT. Of its claims only those are shown that a rule asks for. */
export function explainedOutcome({ issuer, claims, trials, verdict }: Examined): Outcome {
  const accepted = 'grant' in verdict;
  const lines: Line[] = [
    ['issuer', issuer === null ? 'not one of the rules' : `${issuer.name}: ${issuer.url}`],
    ['signature', claims === null ? 'not known to be right' : 'right'],
    ...trials.map(lineOf),
    accepted
      ? ['accepted', `by the rule ${JSON.stringify(verdict.rule)}, as ${verdict.grant.actor}`]
      : ['refused', `${verdict.reason} (${verdict.code})`],
    ...(accepted ? ([['may', sayGrant(verdict.grant)]] as const) : []),
  ];
  return {
    json: {
      accepted,
      ...(accepted ? { rule: verdict.rule, grant: verdict.grant } : { code: verdict.code, reason: verdict.reason }),
      issuer: issuer === null ? null : { name: issuer.name, url: issuer.url },
      signature_verified: claims !== null,
      rules: trials.map(({ rule, unmet }) => ({
        name: rule.name,
        matches: unmet.length === 0,
        unmet: unmet.map(({ claim, found, wanted }) => ({ claim, found, wanted })),
      })),
    },
    text: alignLines(lines),
    exit: accepted ? EXIT.done : verdict.code === 'issuer_unavailable' ? EXIT.unreachable : EXIT.refused,
  };
}

function lineOf({ rule, unmet }: RuleTrial): Line {
  const name = `rule ${JSON.stringify(rule.name)}`;
  if (unmet.length === 0) return [name, 'matches'];
  return [name, ...unmet.map((each) => sayUnmet(each))];
}

function sayGrant({ scopes, producers }: { scopes: readonly string[]; producers: readonly string[] | null }): string {
  return `${scopes.join(', ')}; ${producers === null ? 'every producer' : `producers ${producers.map(printable).join(', ')}`}`;
}
