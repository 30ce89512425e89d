import type { ObjectReader } from '../blobs/blob-store.ts';
import type { StreamChecker } from '../blobs/check-thread.ts';
import type { RebuildReport } from '../core/rebuild-report.ts';
import type { RetentionClasses } from '../core/retention.ts';
import type { Registry, Tables } from '../registry/registry.ts';

/** A rebuild under way: what it works with, and how far it is. */
export interface Rebuild {
  readonly registry: Registry;
  readonly objects: ObjectReader;
  /** Each has a thread. */
  readonly checkers: readonly StreamChecker[];
  readonly classes: RetentionClasses;
  readonly signal: AbortSignal;
  /** Names this process: when another one goes on, this one ends. */
  readonly run: string;
  readonly report: Readonly<RebuildReport>;
  /**
   * One transaction that also records how far the rebuild is. `work` may run again: it gets a report of its own each time.
   * @param after what is done then, of this stage; left out: nothing new
   */
  step(
    stage: 'packages' | 'objects' | 'settling',
    after: string | null,
    work: (tables: Tables, report: RebuildReport) => Promise<void>,
  ): Promise<void>;
}
