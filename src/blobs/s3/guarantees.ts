import type { Finding } from '../blob-store.ts';
import { RULES } from './guarantee-rules.ts';

/**
 * What the probe saw, and what follows from it. Pure: the trials themselves are in trials/, the rules in
 * guarantee-rules.ts.
 */

/** What a backend may guarantee; the names stand in /readyz and `doctor`. */
export const GUARANTEES = [
  'part_urls_work',
  'part_digest_enforced',
  'part_length_enforced',
  'part_copy_refused',
  'part_url_ends_with_upload',
  'part_url_expires',
  'part_url_method_bound',
  'service_bytes_enforced',
  'checksum_header_honoured',
  'download_urls_work',
  'download_range_enforced',
  'download_forced_attachment',
  'anonymous_read_refused',
  'upload_key_write_only',
  'clocks_agree',
] as const;

export type Guarantee = (typeof GUARANTEES)[number];

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

/** What became of one attack. */
export interface Trial {
  /** 0: the connection was closed without an answer. */
  status: number;
  /** S3's code, where there was one. */
  code: string;
  /** What lay in storage afterwards, where the attack was on stored bytes. */
  stored: 'nothing' | 'right' | 'other';
}

export interface Observations {
  /** Why the trials could not be carried out, or not to their end; null when all were. */
  problem: string | null;
  trials: Trials;
  hasUploadKey: boolean;
  /** The storage's clock minus ours, ms; null when it did not tell the time. */
  clockSkewMs: number | null;
}

export type TrialName =
  | 'part'
  | 'wrong_body'
  | 'empty_body'
  | 'shorter_body'
  | 'longer_body'
  | 'copy_with_body'
  | 'copy_without_body'
  | 'other_hash'
  | 'no_hash'
  | 'expired'
  | 'get'
  | 'post'
  | 'delete'
  | 'late_part'
  | 'late_wrong_part'
  | 'late_empty_part'
  | 'late_copy'
  | 'own_part'
  | 'own_wrong_part'
  | 'own_object'
  | 'own_wrong_object'
  | 'right_checksum'
  | 'wrong_checksum'
  | 'download'
  | 'download_headers'
  | 'range'
  | 'wider_range'
  | 'no_range'
  | 'if_range_of_another'
  | 'if_range_of_old'
  | 'anonymous_read'
  | 'upload_key_read';

/** A trial that was not made proves nothing. */
export type Trials = Partial<Record<TrialName, Trial>>;

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
}

/** What the observations prove. Whatever was not seen to hold does not hold. */
export function evaluate(observations: Observations, at: { probedAt: number; endpoint: string }): ProbeReport {
  const { problem } = observations;
  const findings = problem === null ? GUARANTEES.map((guarantee) => judge(guarantee, observations)) : [];
  const seen = new Map(findings.map(({ guarantee, held }) => [guarantee, held]));
  const held = Object.fromEntries(GUARANTEES.map((guarantee) => [guarantee, seen.get(guarantee) ?? false]));
  return {
    ...at,
    problem,
    enforcing: NEEDED_TO_BELIEVE.every((guarantee) => held[guarantee]),
    held: held as Record<Guarantee, boolean>,
    findings,
  };
}

function judge(guarantee: Guarantee, observations: Observations): Finding & { guarantee: Guarantee } {
  const { rule, holds, fails, advice, weight, trials, told } = RULES[guarantee];
  const control = CONTROLS.find(([prefix]) => guarantee.startsWith(prefix))?.[1] ?? guarantee;
  if (!RULES[control].rule(observations) && control !== guarantee) {
    // Where nothing is taken at all, a refusal proves nothing.
    const says = `Not known, as long as that does not hold: ${RULES[control].holds} Then: ${holds}`;
    return { guarantee, held: false, weight: 'note', short: says, says, advice: null };
  }
  if (rule(observations)) return { guarantee, held: true, weight, short: holds, says: holds, advice: null };
  const trouble = told === undefined ? troubleOf(observations, trials) : [told(observations)];
  const says = `${fails} (${trouble.join('; ')}).`;
  return { guarantee, held: false, weight, short: `${fails}.`, says, advice: advice(observations) };
}

/** What must work before a refusal says anything. */
const CONTROLS: ReadonlyArray<[string, Guarantee]> = [
  ['part_', 'part_urls_work'],
  ['download_', 'download_urls_work'],
];

function troubleOf({ trials }: Observations, names: readonly TrialName[]): string[] {
  return names.map((name) => {
    const trial = trials[name];
    const said = name.replaceAll('_', ' ');
    if (trial === undefined) return `${said}: not tried`;
    return `${said}: ${trial.status === 0 ? 'no answer' : trial.status}${trial.code === '' ? '' : ` ${trial.code}`}, stored ${trial.stored}`;
  });
}
