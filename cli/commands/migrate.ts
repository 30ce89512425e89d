import { defineVerb } from '../command.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  dataDir?: string;
}

export const migrate = defineVerb<Options>({
  name: 'migrate',
  summary: "bring the registry to this version's schema",
  description:
    'Opens the registry that the environment names, migrates it, and prints the schema it has now. The service does the same when it starts; a data folder that a running service holds is refused.',
  examples: ['migrate', 'migrate --data-dir /srv/artifacts'],
  options: [
    {
      flags: '--data-dir <dir>',
      description: 'data folder (ARTIFACT_STORE_DATA_DIR)',
      completes: 'folder',
      parse: parseFilled,
      variable: 'ARTIFACT_STORE_DATA_DIR',
    },
  ],
  client: false,
  async run({ env }, _args, { dataDir }) {
    const { migrateRegistry } = await import('../migrate-registry.ts');
    const { applied, current } = await migrateRegistry(env, dataDir);
    const done = applied.length === 0 ? 'nothing to do' : `applied ${applied.join(', ')}`;
    return { json: { schema: current, applied }, text: `The registry has the schema ${current}: ${done}.` };
  },
});
