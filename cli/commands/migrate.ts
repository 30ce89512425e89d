import { defineVerb } from '../command.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  dataDir?: string;
}

export const migrate = defineVerb<Options>({
  name: 'migrate',
  summary: "migrate the registry to this version's schema",
  description:
    'Opens the registry that the environment names, migrates it, and prints its schema. The service does the same at start. A data folder in use by a running service is refused.',
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
