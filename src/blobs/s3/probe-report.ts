import type { Finding } from '../blob-store.ts';
import { RULES } from './guarantee-rules.ts';
import { GUARANTEES, type Guarantee } from './guarantees.ts';
import { lockFindings } from './lock-findings.ts';
import type { TrialName, Tried } from './trial.ts';

/**
 * Without one of these, a digest that was sent along says nothing about what is stored: everything is read back, whether
 * clients sent it to their URLs or the service itself.
 */
const NEEDED_TO_BELIEVE: readonly Guarantee[] = [
  'part_urls_work',
  'part_digest_enforced',
  'part_length_enforced',
  'part_copy_refused',
  'part_url_ends_with_upload',
  'service_bytes_enforced',
];

export interface ProbeReport {
  probedAt: number;
  /** What signed URLs name. */
  endpoint: string;
  /** Why nothing could be proved; null when the probe went through. */
  problem: string | null;
  /** The digest of an object of one part, or of one that the service sent, is believed without reading it. */
  enforcing: boolean;
  held: Record<Guarantee, boolean>;
  /** One for each guarantee; none when nothing could be proved. */
  findings: Array<Finding & { guarantee: Guarantee }>;
  /** Whether the bucket locks objects, as it is to; none when it did not say. */
  lock: Finding[];
}

/** What the trials prove. Whatever was not seen to hold does not hold. */
export function probeReport(tried: Tried, at: { probedAt: number; endpoint: string }): ProbeReport {
  const { problem } = tried;
  const findings = problem === null ? GUARANTEES.map((guarantee) => findingOf(guarantee, tried)) : [];
  const seen = new Map(findings.map(({ guarantee, held }) => [guarantee, held]));
  const held = Object.fromEntries(GUARANTEES.map((guarantee) => [guarantee, seen.get(guarantee) ?? false]));
  return {
    ...at,
    problem,
    enforcing: NEEDED_TO_BELIEVE.every((guarantee) => held[guarantee]),
    held: held as Record<Guarantee, boolean>,
    findings,
    lock: problem === null ? lockFindings(tried.lock) : [],
  };
}

function findingOf(guarantee: Guarantee, tried: Tried): Finding & { guarantee: Guarantee } {
  const { rule, holds, fails, advice, weight, trials, told } = RULES[guarantee];
  const control = CONTROLS.find(([prefix]) => guarantee.startsWith(prefix))?.[1] ?? guarantee;
  if (!RULES[control].rule(tried) && control !== guarantee) {
    // Where nothing is taken at all, a refusal proves nothing.
    const says = `Unknown until this holds: ${RULES[control].holds} Then: ${holds}`;
    return { guarantee, held: false, weight: 'note', short: says, says, advice: null };
  }
  if (rule(tried)) return { guarantee, held: true, weight, short: holds, says: holds, advice: null };
  const trouble = told === undefined ? troubleOf(tried, trials) : [told(tried)];
  const says = `${fails} (${trouble.join('; ')}).`;
  return { guarantee, held: false, weight, short: `${fails}.`, says, advice: advice(tried) };
}

/** What must work before a refusal says anything. */
const CONTROLS: ReadonlyArray<[string, Guarantee]> = [
  ['part_', 'part_urls_work'],
  ['download_', 'download_urls_work'],
];

function troubleOf({ trials }: Tried, names: readonly TrialName[]): string[] {
  return names.map((name) => {
    const trial = trials[name];
    const said = name.replaceAll('_', ' ');
    if (trial === undefined) return `${said}: not tried`;
    return `${said}: ${trial.status === 0 ? 'no answer' : trial.status}${trial.code === '' ? '' : ` ${trial.code}`}, stored ${trial.stored}`;
  });
}
