import { defineVerb } from '../command.ts';

export const webhookReplay = defineVerb({
  name: 'webhook replay',
  summary: 'send dead events again',
  description:
    'Sends dead events of a webhook again, all of them or those that are named, and tries at once what waits. Do it when its receiver was mended.',
  examples: ['webhook replay whk_0198f3a1b2c47d5e8f90a1b2c3d4e5f6'],
  client: true,
  arguments: [
    { name: 'WEBHOOK', description: 'its id, as webhook ls shows it' },
    {
      name: 'EVENT',
      description: 'ids of events, as webhook deliveries shows them; left out: all',
      optional: true,
      several: true,
    },
  ],
  async run(context, [id = '', ...events]) {
    const { countOf } = await import('../format.ts');
    const client = await context.client();
    const result = await client.webhooks.replay(id, events.length === 0 ? undefined : events);
    return { json: result, text: `${countOf(result.replayed, 'dead event')} will be sent again.` };
  },
});
