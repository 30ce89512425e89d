import type { Package } from '../../src/api/types.ts';
import { isId } from '../../src/core/ids.ts';
import type { ApiClient } from '../client/api-client.ts';
import { CliError, EXIT } from '../errors.ts';

/**
 * The package that a person names: by its id, or by an external id (a run id) when that names one package only. A
 * superseded package gave its external id to the one that supersedes it.
 * @throws CliError package_not_found, wrong_usage when several packages share the external id
 */
export async function findPackage(client: ApiClient, named: string): Promise<Package> {
  if (isId('pkg', named)) return client.getPackage(named);
  const { items } = await client.listPackages({ external_id: named, limit: 1_000 });
  const current = items.filter((pkg) => pkg.superseded_by === null);
  const living = current.filter((pkg) => pkg.status !== 'failed');
  const [found, another] = living.length > 0 ? living : current;
  if (found === undefined) {
    throw new CliError(`There is no package ${JSON.stringify(named)}.`, {
      exit: EXIT.notFound,
      code: 'package_not_found',
      next: 'Name it by its id or its external id; `artifact-store ls` lists what there is.',
    });
  }
  if (another !== undefined) {
    const ids = current.map((pkg) => `${pkg.id} (${pkg.producer})`).join(', ');
    throw new CliError(`${JSON.stringify(named)} is the external id of several packages: ${ids}.`, {
      exit: EXIT.usage,
      code: 'wrong_usage',
      next: 'Name one by its id.',
      extras: { packages: current.map((pkg) => pkg.id) },
    });
  }
  return found;
}
