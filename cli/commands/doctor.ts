import { defineVerb } from '../command.ts';

export const doctor = defineVerb({
  name: 'doctor',
  summary: 'check the service and report what is wrong',
  description:
    'Asks the service for everything that an operator should check, and reports it in words: the data folder and its free space, the registry, the blob store and which guarantees held, the token, the address; and, for every problem, what to change. With --local it opens the data folder itself.',
  examples: ['doctor', 'doctor --url https://store.example', 'doctor --local --data-dir /srv/artifacts'],
  client: true,
  async run(context) {
    const { examine } = await import('../view/doctor-lines.ts');
    return examine(await context.client());
  },
});
