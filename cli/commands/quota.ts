import { defineVerb } from '../command.ts';

export const quota = defineVerb({
  name: 'quota',
  summary: 'show what producers use of their quotas',
  description:
    'Shows, for each producer, the bytes of its finalized packages, those that open packages have reserved, and how many it may have. A reservation lasts from the registration of a file until its package is finalized, failed or deleted.',
  arguments: [{ name: 'PRODUCER', description: 'only this one; left out: all', optional: true }],
  examples: ['quota', 'quota guide-board --json'],
  client: true,
  async run(context, [producer]) {
    const { readPages } = await import('../view/pages.ts');
    const { quotaTable } = await import('../view/quota-table.ts');
    const client = await context.client();
    const list = await readPages(client.url, Number.POSITIVE_INFINITY, (next) =>
      client.operations.quotas({ producer, ...next }),
    );
    return { json: list, text: quotaTable(list.items) };
  },
});
