import { defineVerb } from '../command.ts';
import { EXIT } from '../errors.ts';
import { SERVICE_OPTIONS, type ServiceValues, serviceEnv } from '../service-options.ts';

export const installCheck = defineVerb<ServiceValues>({
  name: 'install-check',
  summary: 'check whether this machine and its settings can run the service',
  description:
    'Checks, before the service is started, all that it needs: Node.js and zstd, the user and its limits, the settings and the files that they name, who may read secrets and keys, the data folder and its file system, the database, the bucket and what it guarantees, the port, tokens, the public address, the time stamp authority and the issuers of identities. Give it the environment and the user that the service will have. What it writes it removes again; it migrates nothing, and a running service is not disturbed. Lines begin with ok, note, WARN or FAIL. Exit code 1: something keeps the service from running.',
  examples: ['install-check', 'install-check --data-dir /srv/artifacts --json'],
  options: SERVICE_OPTIONS,
  client: false,
  async run({ env }, _args, options) {
    const [{ installCheck: check }, { linesOf }] = await Promise.all([
      import('../../src/install-check/install-check.ts'),
      import('../view/doctor-lines.ts'),
    ]);
    const checks = await check(serviceEnv(env, options));
    const failures = checks.filter(({ level }) => level === 'failure').length;
    const said =
      failures === 0
        ? 'Nothing keeps the service from running here.'
        : `${failures === 1 ? 'One thing keeps' : `${failures} things keep`} the service from running here.`;
    return {
      json: { ok: failures === 0, checks },
      text: [...checks.flatMap(linesOf), '', said].join('\n'),
      exit: failures === 0 ? EXIT.done : EXIT.failed,
    };
  },
});
