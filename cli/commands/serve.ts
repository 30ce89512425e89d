import { once } from 'node:events';
import { defineVerb } from '../command.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  host?: string;
  port?: string;
  dataDir?: string;
}

const variable = (name: string) => ({ parse: parseFilled, variable: `ARTIFACT_STORE_${name}` });

export const serve = defineVerb<Options>({
  name: 'serve',
  summary: 'run the service',
  description:
    'Runs the service until it gets SIGTERM or SIGINT (Ctrl-C), then lets in-flight requests finish. It is configured by the environment (ARTIFACT_STORE_*); the options set the variables of the same name.',
  examples: ['serve', 'serve --port 0 --data-dir /srv/artifacts --json'],
  options: [
    { flags: '--host <host>', description: 'address to listen on (ARTIFACT_STORE_HOST)', ...variable('HOST') },
    { flags: '--port <port>', description: 'port; 0 picks a free one (ARTIFACT_STORE_PORT)', ...variable('PORT') },
    {
      flags: '--data-dir <dir>',
      description: 'data folder (ARTIFACT_STORE_DATA_DIR)',
      completes: 'folder',
      ...variable('DATA_DIR'),
    },
  ],
  client: false,
  async run({ env, out, signal }, _args, { host, port, dataDir }) {
    const [{ loadConfig }, { startService }] = await Promise.all([
      import('../../src/config.ts'),
      import('../../src/server.ts'),
    ]);
    const config = loadConfig({
      ...env,
      ...(host === undefined ? {} : { ARTIFACT_STORE_HOST: host }),
      ...(port === undefined ? {} : { ARTIFACT_STORE_PORT: port }),
      ...(dataDir === undefined ? {} : { ARTIFACT_STORE_DATA_DIR: dataDir }),
    });
    const service = await startService(config);
    let ended: Error | null = null;
    try {
      // One line, so that whoever started the service can read it while it runs.
      if (out.json) await out.write(`${JSON.stringify({ url: service.url })}\n`);
      if (!signal.aborted) ended = await Promise.race([once(signal, 'abort').then(() => null), service.failed]);
    } finally {
      await service.stop();
    }
    if (ended !== null) throw ended;
    return undefined;
  },
});
