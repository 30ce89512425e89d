import { defineVerb } from '../command.ts';

export const webhookLs = defineVerb({
  name: 'webhook ls',
  summary: 'list the webhooks, and how they fare',
  description:
    'Lists the webhooks, newest first, without their secrets: what they are sent, whether their receivers take it, how many events wait for another attempt, and how many are dead.',
  examples: ['webhook ls', 'webhook ls --json'],
  client: true,
  async run(context) {
    const [{ readPages }, { webhookTable }] = await Promise.all([
      import('../view/pages.ts'),
      import('../view/webhook-table.ts'),
    ]);
    const client = await context.client();
    const page = await readPages(client.url, Number.POSITIVE_INFINITY, (next) => client.webhooks.list(next));
    return { json: page, text: webhookTable(page.items) };
  },
});
