import type { Package } from '../../src/api/types.ts';
import { isId } from '../../src/core/ids.ts';
import type { ApiClient } from '../client/api/api-client.ts';
import { CliError, EXIT } from '../errors.ts';
import { printable } from '../format.ts';

/** As the service takes them. */
const PRODUCER_MAX = 128;
const EXTERNAL_ID_MAX = 512;

/**
 * The package that a person names: by its id; by an external id (a run id), when one producer has it; or as
 * PRODUCER/EXTERNAL-ID. Both may hold slashes themselves, so every way to read the name is tried, and one alone must find
 * something. An external id names what is finalized and not superseded; while there is none, what is open.
 * @throws CliError package_not_found, wrong_usage when the name finds several packages
 */
export async function findPackage(client: ApiClient, named: string): Promise<Package> {
  if (isId('pkg', named)) return client.getPackage(named);
  const lists = await Promise.all(readings(named).map((reading) => listAll(client, reading)));
  const all = lists.flatMap(currentOnes);
  const living = all.filter((pkg) => pkg.status !== 'failed');
  const [found, another] = living.length > 0 ? living : all;
  if (found === undefined) {
    throw new CliError(`There is no package ${printable(JSON.stringify(named))}.`, {
      exit: EXIT.notFound,
      code: 'package_not_found',
      next: 'Use its id, its external id or PRODUCER/EXTERNAL-ID; `artifact-store ls` lists the packages.',
    });
  }
  if (another !== undefined) throw ambiguous(named, living.length > 0 ? living : all);
  return found;
}

interface Reading {
  producer?: string;
  external_id: string;
}

function readings(named: string): Reading[] {
  const found: Reading[] = [{ external_id: named }];
  for (let at = named.indexOf('/'); at !== -1 && at <= PRODUCER_MAX; at = named.indexOf('/', at + 1)) {
    const [producer, external_id] = [named.slice(0, at), named.slice(at + 1)];
    if (producer !== '' && external_id !== '') found.push({ producer, external_id });
  }
  return found.filter(({ external_id }) => external_id.length <= EXTERNAL_ID_MAX);
}

async function listAll(client: ApiClient, reading: Reading): Promise<Package[]> {
  const all: Package[] = [];
  let cursor: string | undefined;
  do {
    const { items, next_cursor } = await client.listPackages({ ...reading, limit: 1_000, cursor });
    all.push(...items);
    cursor = next_cursor ?? undefined;
  } while (cursor !== undefined);
  return all;
}

/** Of each producer the one that its external id names. @param packages of one external id, newest first */
function currentOnes(packages: readonly Package[]): Package[] {
  return [...Map.groupBy(packages, ({ producer }) => producer).values()].flatMap((own) => {
    const current =
      own.find(({ status, superseded_by }) => status === 'finalized' && superseded_by === null) ??
      own.find(({ status }) => status === 'created' || status === 'uploading') ??
      own[0];
    return current === undefined ? [] : [current];
  });
}

function ambiguous(named: string, found: readonly Package[]): CliError {
  const names = found.map(({ id, producer, external_id }) => `${printable(`${producer}/${external_id}`)} (${id})`);
  return new CliError(`${printable(JSON.stringify(named))} names several packages: ${names.join(', ')}.`, {
    exit: EXIT.usage,
    code: 'wrong_usage',
    next: 'Use PRODUCER/EXTERNAL-ID, or the id.',
    extras: { packages: found.map(({ id }) => id) },
  });
}
