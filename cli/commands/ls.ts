import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import { parseCount, parsePair } from '../view/options.ts';

interface Options {
  producer?: string;
  subject?: string;
  externalId?: string;
  status?: string;
  retentionClass?: string;
  metadata?: Array<[key: string, value: string]>;
  limit?: number;
  all?: boolean;
}

const DEFAULT_LIMIT = 50;

export const ls = defineVerb<Options>({
  name: 'ls',
  summary: 'list packages, newest first',
  description:
    'Lists packages, newest first. A package must match all filters. Deleted packages are listed only with --status deleted.',
  examples: ['ls', 'ls --producer guide-board --metadata result_status=warning', 'ls --status deleted --all --json'],
  client: true,
  options: [
    { flags: '--producer <name>', description: 'made by this producer' },
    { flags: '--subject <subject>', description: 'about this subject (for guide-board: the target profile)' },
    { flags: '--external-id <id>', description: 'with this external id (for guide-board: the run id)' },
    {
      flags: '--status <status>',
      description: 'in this status',
      choices: ['created', 'uploading', 'finalized', 'deleted', 'failed'],
    },
    { flags: '--retention-class <class>', description: 'of this retention class' },
    {
      flags: '--metadata <key=value>',
      description: 'with this value in its metadata',
      repeatable: true,
      parse: parsePair,
    },
    { flags: '--limit <n>', description: `at most this many (${DEFAULT_LIMIT})`, parse: parseCount },
    { flags: '--all', description: 'all of them' },
  ],
  async run(context, _args, options) {
    if (options.all && options.limit !== undefined) throw usageError('--all and --limit exclude each other.');
    const limit = options.all ? Number.POSITIVE_INFINITY : (options.limit ?? DEFAULT_LIMIT);
    const metadata = (options.metadata ?? []).map(([key, value]) => [`metadata.${key}`, value]);
    const filter = {
      producer: options.producer,
      subject: options.subject,
      external_id: options.externalId,
      status: options.status,
      retention_class: options.retentionClass,
      ...Object.fromEntries(metadata),
    };
    const { readPages } = await import('../view/pages.ts');
    const client = await context.client();
    const page = await readPages(client.url, limit, (next) => client.listPackages({ ...filter, ...next }));
    if (page.next_cursor !== null) context.out.note(`There are more than these ${page.items.length}: --all shows all.`);
    const { packageTable } = await import('../view/package-table.ts');
    return { json: page, text: packageTable(page.items) };
  },
});
