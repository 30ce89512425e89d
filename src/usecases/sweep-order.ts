import type { RewriteRules } from '../core/rewrite-rules.ts';
import type { SweepReport } from '../core/sweep-report.ts';
import type { Caller, Services, WithDecisions, WithUploads } from './services.ts';

/** What a sweep is to do. */
export interface SweepOptions {
  /** Else it only says what it would do. */
  apply: boolean;
  /** Compares both sides although the store has decisions that the registry does not know: from then on sweeps may act. */
  reconcile: boolean;
  /** Which packs are written anew. */
  rewrite: RewriteRules;
}

/** A sweep under way. */
export interface SweepRun {
  services: Services<WithUploads & WithDecisions>;
  caller: Caller;
  options: SweepOptions;
  /** Written to as it goes. */
  report: SweepReport;
  /** When it began, by the registry, ms. */
  now: number;
  /** What is younger is left alone, ms. */
  before: number;
  /** @throws when the service is stopping */
  goOn(): void;
}
