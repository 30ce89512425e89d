import { defineVerb } from '../command.ts';

export const shareLs = defineVerb({
  name: 'share ls',
  summary: 'list the links that show a package, newest first',
  description:
    'Lists every link that was made for a package, without its secret: what it shows, who made it and when it ends. Expired and revoked ones stay in the list.',
  examples: ['share ls PACKAGE', 'share ls PACKAGE --json'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id' }],
  async run(context, [named = '']) {
    const [{ findPackage }, { readPages }, { shareTable }] = await Promise.all([
      import('../view/find-package.ts'),
      import('../view/pages.ts'),
      import('../view/share-table.ts'),
    ]);
    const client = await context.client();
    const { id } = await findPackage(client, named);
    const page = await readPages(client.url, Number.POSITIVE_INFINITY, (next) => client.access.shares(id, next));
    return { json: page, text: shareTable(page.items) };
  },
});
