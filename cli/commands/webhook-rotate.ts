import { defineVerb } from '../command.ts';

export const webhookRotate = defineVerb({
  name: 'webhook rotate',
  summary: 'give a webhook a new secret',
  description:
    'Gives a webhook a new secret, and prints it once. For a day the secret before signs beside it, so that a receiver can take the new one meanwhile.',
  examples: ['webhook rotate whk_0198f3a1b2c47d5e8f90a1b2c3d4e5f6'],
  client: true,
  arguments: [{ name: 'WEBHOOK', description: 'its id, as webhook ls shows it' }],
  async run(context, [id = '']) {
    const { formatTime } = await import('../format.ts');
    const client = await context.client();
    const rotated = await client.webhooks.rotateSecret(id);
    context.out.note(`The secret before signs, too, until ${formatTime(rotated.previous_secret_until)}.`);
    return { json: rotated, text: rotated.secret };
  },
});
