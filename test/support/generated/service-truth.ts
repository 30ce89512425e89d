import type { Knex } from 'knex';
import { rowsOf } from '../../../src/registry/dialect.ts';
import { recover } from '../../../src/usecases/recover.ts';
import { apiOf } from '../api.ts';
import { withRegistry } from '../registry-content.ts';
import { lostAndFound } from '../registry-truth.ts';
import type { TestService } from '../service.ts';

/** What was begun and has not ended, and what is counted wrong, in words. */
const HALF_DONE: Record<string, string> = {
  'an upload is being completed or aborted': `select id from uploads where state in ('completing', 'aborting')`,
  'a sweep runs': `select id from sweeps where state = 'running'`,
  'a reading runs': `select id from fixity_runs where state = 'running'`,
  'a package is sealed and not finalized': `select id from packages
    where sealed_at is not null and finalized_at is null and status in ('created', 'uploading')`,
  'the counts of a package are not those of its files': `select p.id from packages p where p.status <> 'deleted'
    and (p.file_count, p.total_size) <> (select count(*), coalesce(sum(f.size), 0) from package_files f where f.package_no = p.no)`,
  'a package has another number of holds than it says': `select p.id from packages p
    where p.active_holds <> (select count(*) from holds h where h.package_id = p.id and h.released_at is null)`,
};
const LOOK_MS = 100;

/**
 * What is wrong with a service that has nothing left to do, in words: recovery runs, what runs in the background ends, all bytes are
 * read, and the registry is looked over. Stops the service.
 */
export async function untruths(service: TestService, token: string | null): Promise<string[]> {
  await recover(service.services);
  const api = apiOf(service.url, token ?? undefined);
  const { id } = (await api.post('/v1/operations/fixity')).body;
  const ended = async () => {
    const [{ body: reading }, { body: sweeps }] = [
      await api.get(`/v1/operations/fixity/${id}`),
      await api.get('/v1/operations/sweeps'),
    ];
    const runs: Array<{ state: string }> = [reading, ...sweeps.items];
    return runs.some(({ state }) => state === 'running') ? null : reading;
  };
  let reading = await ended();
  for (; reading === null; reading = await ended()) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  const { objects, good } = reading.report;
  const unread = good === objects ? [] : [`of ${objects} objects ${good} are good: ${JSON.stringify(reading)}`];
  await service.stop();
  return [...unread, ...(await withRegistry(service.env, lookOver))];
}

async function lookOver(db: Knex): Promise<string[]> {
  const found = await lostAndFound(db);
  for (const [what, query] of Object.entries(HALF_DONE)) {
    for (const { id } of rowsOf<{ id: string }>(await db.raw(query))) found.push(`${what}: ${id}`);
  }
  return found;
}
