import { once } from 'node:events';
import { defineVerb } from '../command.ts';
import { SERVICE_OPTIONS, type ServiceValues, serviceEnv } from '../service-options.ts';

export const serve = defineVerb<ServiceValues>({
  name: 'serve',
  summary: 'run the service',
  description:
    'Runs the service until it gets SIGTERM or SIGINT (Ctrl-C), then lets in-flight requests finish. It is configured by the environment (ARTIFACT_STORE_*); the options set the variables of the same name.',
  examples: ['serve', 'serve --port 0 --data-dir /srv/artifacts --json'],
  options: SERVICE_OPTIONS,
  client: false,
  async run({ env, out, signal }, _args, options) {
    const [{ loadConfig }, { startService }] = await Promise.all([
      import('../../src/config.ts'),
      import('../../src/server.ts'),
    ]);
    const service = await startService(loadConfig(serviceEnv(env, options)));
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
