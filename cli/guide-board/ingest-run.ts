import { DAY_MS } from '../../src/core/retention.ts';
import type { ApiClient } from '../client/api/api-client.ts';
import { type PushProgress, type PushResult, pushDirectory } from '../client/push/push.ts';
import { lookForPush } from '../client/push/push-look.ts';
import type { PushOptions } from '../client/push/push-order.ts';
import { DEFAULT_POST_OPTIONS, type PostOutcome, postEvent } from '../statehub.ts';
import { describeRun, type RunDescription } from './describe-run.ts';
import type { Discrepancy } from './discrepancies.ts';
import { readRun } from './read-run.ts';
import { giveUpStaleIngest } from './unfinished-ingest.ts';

export interface StatehubTarget {
  url: string;
  author?: string;
  workstream?: string;
  task?: string;
}

/** What push takes and a run does not say by itself. */
export type IngestOptions = Pick<
  PushOptions,
  | 'directory'
  | 'retentionClass'
  | 'fileRules'
  | 'revision'
  | 'finalize'
  | 'rehash'
  | 'secrets'
  | 'parallel'
  | 'exclude'
  | 'symlinks'
  | 'special'
>;

export interface IngestResult extends PushResult {
  run_id: string;
  missing: string[];
  discrepancies: Discrepancy[];
  statehub?: PostOutcome;
}

/**
 * A run's directory in, a finalized package out; idempotent by run id, which is the package's external id. The retention
 * class is the service's default, raw-evidence: a run holds its raw logs and artifacts, which is what that class is for. If the run's
 * own policy keeps raw artifacts for fewer days than the rest, that becomes a file rule of the package.
 * @throws RunError when the directory is no run; what pushDirectory throws
 */
export async function ingestRun(
  client: ApiClient,
  options: IngestOptions,
  progress: PushProgress = {},
  env?: Record<string, string | undefined>,
): Promise<IngestResult> {
  const run = describeRun(await readRun(options.directory));
  report(run, progress);
  const { name, producer, subject, runId } = run;
  const fileRules = options.fileRules ?? run.retention.fileRules;
  const facts = { name, producer, subject: subject ?? undefined, externalId: runId, metadata: run.metadata, fileRules };
  const push = { ...options, ...facts };
  const look = await lookForPush(push, { signal: client.signal, note: progress.note });
  const stale = await giveUpStaleIngest(client, { producer, runId, metadata: look.metadata });
  if (stale !== null) progress.note?.(`${stale} was never finished, and the run has changed since: it was given up.`);
  const pushed = await pushDirectory(client, { ...push, derived: true }, progress, env, look);
  const shorter = sayShorter(run, pushed);
  if (shorter !== null) progress.note?.(shorter);
  return { ...pushed, run_id: runId, missing: run.missing, discrepancies: run.discrepancies };
}

/** The store's class decides how long a package is kept, and the run may ask for more. */
function sayShorter(
  { retention: { summaryDays } }: RunDescription,
  { package_id, expires_at }: PushResult,
): string | null {
  if (summaryDays === null || expires_at === null) return null;
  const days = Math.round((Date.parse(expires_at) - Date.now()) / DAY_MS);
  if (days >= summaryDays) return null;
  return `The run's own policy keeps its summary ${summaryDays} days, and ${package_id} expires in ${days} days. \`artifact-store extend\` keeps all of it longer; --retention-class at the first ingest keeps its raw artifacts as short as the run says.`;
}

function report(run: RunDescription, progress: PushProgress): void {
  for (const warning of run.warnings) progress.warn?.(`warning: ${warning}`);
  if (run.missing.length > 0) progress.note?.(`missing in this run: ${run.missing.join(', ')}`);
}

/** Tells Statehub of a package. Never throws: the package stays preserved, and can be reported later. */
export async function tellStatehub(client: ApiClient, packageId: string, target: StatehubTarget): Promise<PostOutcome> {
  try {
    const { author, workstream: workstream_id, task: task_id } = target;
    const { event } = await client.link(packageId, { author, workstream_id, task_id });
    return await postEvent(target.url, event, DEFAULT_POST_OPTIONS, client.connections);
  } catch (error) {
    return { posted: false, error: `no event could be made (${(error as Error).message})` };
  }
}
