import { defineVerb } from '../command.ts';

export const doctor = defineVerb({
  name: 'doctor',
  summary: 'say what of the service works',
  description:
    'Asks the service what an operator should look at and says it in words: the data folder and its space, the registry, the blob store and which guarantees it was seen to hold, the token, the address; for what is wrong, what to change. With --local it opens the data folder itself.',
  examples: ['doctor', 'doctor --url https://store.example', 'doctor --local --data-dir /srv/artifacts'],
  client: true,
  async run(context) {
    const { examine } = await import('../view/doctor-lines.ts');
    return examine(await context.client());
  },
});
