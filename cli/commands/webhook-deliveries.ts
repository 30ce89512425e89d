import { defineVerb } from '../command.ts';

interface Options {
  dead?: boolean;
}

export const webhookDeliveries = defineVerb<Options>({
  name: 'webhook deliveries',
  summary: 'list the events that a webhook did not take',
  description:
    'Lists the events that the receiver of a webhook did not take, oldest first: those that wait for another attempt, or for an earlier event of their package, and those that are dead.',
  examples: ['webhook deliveries whk_0198f3a1b2c47d5e8f90a1b2c3d4e5f6 --dead'],
  client: true,
  arguments: [{ name: 'WEBHOOK', description: 'its id, as webhook ls shows it' }],
  options: [{ flags: '--dead', description: 'only those that are tried no more', field: 'state' }],
  async run(context, [id = ''], { dead }) {
    const [{ readPages }, { deliveryTable }] = await Promise.all([
      import('../view/pages.ts'),
      import('../view/webhook-table.ts'),
    ]);
    const client = await context.client();
    const state = dead === true ? 'dead' : undefined;
    const page = await readPages(client.url, Number.POSITIVE_INFINITY, (next) =>
      client.webhooks.deliveries(id, { ...next, state }),
    );
    return { json: page, text: deliveryTable(page.items) };
  },
});
