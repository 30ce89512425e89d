import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  fromStorage?: boolean;
  compare?: boolean;
  dataDir?: string;
}

export const rebuild = defineVerb<Options>({
  name: 'rebuild',
  summary: 'fill an empty registry from its store, or compare the two',
  description:
    'With --from-storage: fills the empty registry that the environment names from the folder or bucket alone, while no service runs on it: packages with their ids, files, metadata, retention, holds and tombstones, as manifests and decisions tell them, and every object, whose bytes are read and hashed. Uploads, unfinished packages and the audit do not come back. A rebuild that was interrupted goes on where it was; until it has ended no service starts. Exit code 5: something that packages need is damaged or gone, and is named. With --compare: tells how a registry differs from its store, and changes neither; exit code 1 when they differ.',
  examples: ['rebuild --from-storage', 'rebuild --from-storage --data-dir /srv/artifacts --json', 'rebuild --compare'],
  options: [
    { flags: '--from-storage', description: 'fill the registry, which must be empty' },
    { flags: '--compare', description: 'tell how the registry differs from the store' },
    {
      flags: '--data-dir <dir>',
      description: 'data folder (ARTIFACT_STORE_DATA_DIR)',
      completes: 'folder',
      parse: parseFilled,
      variable: 'ARTIFACT_STORE_DATA_DIR',
    },
  ],
  client: false,
  continues: 'Run the same command again: a rebuild goes on where it was.',
  async run({ env, out, signal }, _args, { fromStorage = false, compare = false, dataDir }) {
    if (fromStorage === compare) throw usageError('Give one of --from-storage and --compare.');
    const [{ rebuildRegistry, compareWithStore }, { loadConfig }, view] = await Promise.all([
      import('../../src/rebuild-registry.ts'),
      import('../../src/config.ts'),
      import('../view/rebuild-lines.ts'),
    ]);
    const config = loadConfig({ ...env, ...(dataDir === undefined ? {} : { ARTIFACT_STORE_DATA_DIR: dataDir }) });
    if (compare) return view.comparisonOutcome(await compareWithStore(config, signal));
    const tell = view.teller((text) => out.note(text), Date.now);
    const began = Date.now();
    const { report } = await rebuildRegistry(config, { signal, tell });
    return view.rebuildOutcome(report, (Date.now() - began) / 1_000);
  },
});
