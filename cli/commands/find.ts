import { defineVerb } from '../command.ts';
import { EXIT, usageError } from '../errors.ts';
import { parseCount } from '../view/options.ts';

interface Options {
  name?: boolean;
  limit?: number;
  all?: boolean;
}

const DEFAULT_LIMIT = 50;

export const find = defineVerb<Options>({
  name: 'find',
  summary: 'which packages have a file: since when, and is it still right',
  description:
    'Finds a file in all packages that may be read, the oldest package first. A digest is looked for as it is. A file that is here is hashed first: what is found has the same bytes, whatever it is called. Anything else is the name of a file, the last segment of its path; a * at its end stands for whatever follows. The exit code is 3 when nothing is found.',
  examples: [
    'find report.html',
    "find 'junit-*' --all --json",
    'find sha256:575a5f7d2063e1eaa8d3a27e140c79daf6d48c5039b16444010b1289697aeec5',
  ],
  client: true,
  arguments: [{ name: 'WHAT', description: 'a file that is here, a digest, or a name', completes: 'file' }],
  options: [
    { flags: '--name', description: 'it is a name, even if a file is called so here' },
    { flags: '--limit <n>', description: `at most this many (${DEFAULT_LIMIT})`, parse: parseCount },
    { flags: '--all', description: 'all of them' },
  ],
  async run(context, [named = ''], { name = false, all = false, ...options }) {
    if (all && options.limit !== undefined) throw usageError('--all and --limit exclude each other.');
    const limit = all ? Number.POSITIVE_INFINITY : (options.limit ?? DEFAULT_LIMIT);
    const [{ findQuery }, { readPages }, { foundTable }] = await Promise.all([
      import('../client/find-query.ts'),
      import('../view/pages.ts'),
      import('../view/found-table.ts'),
    ]);
    const query = await findQuery(named, name, context.signal);
    const client = await context.client();
    const page = await readPages(client.url, limit, (next) => client.findFiles({ ...query, ...next }));
    if (page.next_cursor !== null) context.out.note(`There are more than these ${page.items.length}: --all shows all.`);
    return {
      json: { sought: query, ...page },
      text: foundTable(query, page.items),
      exit: page.items.length === 0 ? EXIT.notFound : EXIT.done,
    };
  },
});
