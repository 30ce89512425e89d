import { canonicalJson, type JsonObject } from '../../src/core/canonical-json.ts';
import type { ApiClient } from '../client/api/api-client.ts';

const REASON = 'The run changed before its ingest was finished; it is ingested again.';

/**
 * An ingest that stopped half-way is continued, and its package keeps the metadata that it was made with. When the run
 * says something else by now (a scorecard was written since), that package would be finalized with metadata that its
 * own files contradict: it is given up instead. @returns the package that was given up
 */
export async function giveUpStaleIngest(
  client: ApiClient,
  run: { producer: string; runId: string; metadata: JsonObject | undefined },
): Promise<string | null> {
  const { items } = await client.listPackages({ producer: run.producer, external_id: run.runId });
  const unfinished = items.find(
    (pkg) => pkg.superseded_by === null && (pkg.status === 'created' || pkg.status === 'uploading'),
  );
  if (unfinished === undefined) return null;
  if (canonicalJson(unfinished.metadata) === canonicalJson(run.metadata)) return null;
  await client.failPackage(unfinished.id, REASON);
  return unfinished.id;
}
