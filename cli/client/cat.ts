import { parseLogicalPath } from '../../src/core/logical-path.ts';
import type { ApiClient } from './api-client.ts';
import { entriesOf, entryReader, integrityFailure } from './entry-reader.ts';
import { closeAgents, newAgents } from './http.ts';

/** One file's bytes; the end is reached only if they have the file's digest. */
export async function* catFile(client: ApiClient, packageId: string, path: string): AsyncGenerator<Buffer> {
  const page = await client.planDownloads(packageId, { paths: [parseLogicalPath(path)] });
  const entry = entriesOf(page).find((candidate) => candidate.path === path);
  if (!entry) throw integrityFailure(path, 'was asked for, and another file was offered.');
  const agents = newAgents(1);
  try {
    yield* entryReader(client, packageId, agents).read(entry);
  } finally {
    closeAgents(agents);
  }
}
