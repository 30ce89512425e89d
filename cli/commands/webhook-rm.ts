import { defineVerb } from '../command.ts';
import { parseReason } from '../view/options.ts';

interface Options {
  reason?: string;
}

export const webhookRm = defineVerb<Options>({
  name: 'webhook rm',
  summary: 'remove a webhook',
  description: 'Removes a webhook: it is sent nothing more, and events that wait for it, or are dead, are forgotten.',
  examples: ['webhook rm whk_0198f3a1b2c47d5e8f90a1b2c3d4e5f6'],
  client: true,
  arguments: [{ name: 'WEBHOOK', description: 'its id, as webhook ls shows it' }],
  options: [{ flags: '--reason <text>', description: 'why; kept forever', parse: parseReason }],
  async run(context, [id = ''], { reason }) {
    const client = await context.client();
    const removed = await client.webhooks.remove(id, reason);
    return { json: removed, text: `${removed.id} is removed.` };
  },
});
