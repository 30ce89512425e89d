import { defineVerb } from '../command.ts';

export const tokenLs = defineVerb({
  name: 'token ls',
  summary: 'list the tokens, newest first',
  description:
    'Lists every token that was made, without its secret: what it may do, whose packages exist for it, when it ends and when it was last used. Expired and revoked ones stay in the list.',
  examples: ['token ls', 'token ls --json'],
  client: true,
  async run(context) {
    const [{ readPages }, { tokenTable }] = await Promise.all([
      import('../view/pages.ts'),
      import('../view/token-table.ts'),
    ]);
    const client = await context.client();
    const page = await readPages(client.url, Number.POSITIVE_INFINITY, (next) => client.access.tokens(next));
    return { json: page, text: tokenTable(page.items) };
  },
});
