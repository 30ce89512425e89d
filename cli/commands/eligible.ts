import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import { parseCount } from '../view/options.ts';

interface Options {
  limit?: number;
  all?: boolean;
}

const DEFAULT_LIMIT = 50;

export const eligible = defineVerb<Options>({
  name: 'eligible',
  summary: 'list packages that may be deleted now, or of which files may be removed',
  description:
    'Lists the packages that have expired and have no hold, and those of which files may be removed by a file rule; longest expired first. Deletes nothing: `rm` does that, one package at a time, and `rm --path` for files.',
  examples: ['eligible', 'eligible --all --json'],
  client: true,
  options: [
    { flags: '--limit <n>', description: `at most this many (${DEFAULT_LIMIT})`, parse: parseCount },
    { flags: '--all', description: 'all of them' },
  ],
  async run(context, _args, options) {
    if (options.all && options.limit !== undefined) throw usageError('--all and --limit exclude each other.');
    const limit = options.all ? Number.POSITIVE_INFINITY : (options.limit ?? DEFAULT_LIMIT);
    const { readPages } = await import('../view/pages.ts');
    const { eligibleTable } = await import('../view/package-table.ts');
    const client = await context.client();
    const page = await readPages(client.url, limit, (next) => client.eligible(next));
    if (page.next_cursor !== null) context.out.note(`There are more than these ${page.items.length}: --all shows all.`);
    return { json: page, text: eligibleTable(page.items) };
  },
});
