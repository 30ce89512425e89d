import { availableParallelism } from 'node:os';
import { openCheckThread } from './blobs/check-thread.ts';
import { openDataFolder } from './blobs/data-folder.ts';
import type { Config } from './config.ts';
import { configuredClasses } from './configured-classes.ts';
import { openConfiguredReader } from './configured-reader.ts';
import { describeDatabase, openConfiguredRegistry } from './configured-registry.ts';
import type { RegistryDifferences } from './core/registry-differences.ts';
import type { RebuildRecord } from './registry/rebuilds.ts';
import { compareRegistry } from './usecases/compare-registry.ts';
import { assertRebuilt, type RebuildNeeds, rebuildFromStorage } from './usecases/rebuild.ts';

type Told = Pick<RebuildNeeds, 'signal' | 'tell'>;

/** Fills the registry that the configuration names from its store. @throws StoreRefusedError, ConfigError, DataFolderError */
export function rebuildRegistry(config: Config, told: Told): Promise<RebuildRecord> {
  return withBoth(config, (both) => rebuildFromStorage({ ...both, ...told }));
}

/** How the registry that the configuration names differs from its store. @throws as `rebuildRegistry` */
export function compareWithStore(config: Config, signal: AbortSignal): Promise<RegistryDifferences> {
  return withBoth(config, async (both) => {
    await assertRebuilt(both.registry, both.places);
    return compareRegistry({ ...both, signal });
  });
}

/**
 * A second, smaller composition root: config → registry and store, without a service. The data folder is locked meanwhile; of
 * PostgreSQL and a bucket nothing is.
 */
async function withBoth<Result>(
  config: Config,
  work: (both: Omit<RebuildNeeds, keyof Told>) => Promise<Result>,
): Promise<Result> {
  const classes = await configuredClasses(config);
  const closers: Array<() => Promise<void>> = [];
  try {
    // A bucket is there before any data folder of this machine; a folder's bytes are in one that was made.
    const folder = await openDataFolder(config.dataDir, undefined, { make: config.s3 !== null });
    closers.push(() => folder.close());
    const registry = await openConfiguredRegistry(config, folder.registryFile);
    closers.push(() => registry.close());
    const checkers = Array.from({ length: availableParallelism() }, openCheckThread);
    for (const checker of checkers) closers.push(() => checker.close());
    const [first] = checkers;
    if (first === undefined) throw new Error('this machine has no processors');
    const { objects, place, close } = await openConfiguredReader(config.s3, folder, first);
    closers.push(close);
    return await work({
      registry,
      objects,
      checkers,
      classes,
      places: { registry: describeDatabase(config), store: place },
    });
  } finally {
    for (const close of closers.reverse()) await close();
  }
}
