import { defineVerb } from '../command.ts';
import { EXIT } from '../errors.ts';

export const webhookTest = defineVerb({
  name: 'webhook test',
  summary: 'send a webhook something, now',
  description:
    'Sends a webhook one event of the type artifact-store.webhook.test, which is none of the audit, and says what became of it. Exit code 1: its receiver did not take it.',
  examples: ['webhook test whk_0198f3a1b2c47d5e8f90a1b2c3d4e5f6'],
  client: true,
  arguments: [{ name: 'WEBHOOK', description: 'its id, as webhook ls shows it' }],
  async run(context, [id = '']) {
    const client = await context.client();
    const result = await client.webhooks.test(id);
    if (result.delivered) return { json: result, text: `The receiver took it, and answered ${result.status}.` };
    context.out.warn(`The receiver did not take it: ${result.failure}.`);
    return { json: result, exit: EXIT.failed };
  },
});
