import { defineVerb } from '../command.ts';

export const doctor = defineVerb({
  name: 'doctor',
  summary: 'say what of the service works',
  description:
    'Asks the service whether its registry and its blob store answer and whether the token is one of its tokens, and says so in words. With --local it opens the data folder itself.',
  examples: ['doctor', 'doctor --url https://store.example', 'doctor --local --data-dir /srv/artifacts'],
  client: true,
  async run(context) {
    const { examine } = await import('../view/doctor-lines.ts');
    return examine(await context.client());
  },
});
