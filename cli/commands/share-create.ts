import { TEXT_MAX } from '../../src/core/text-problem.ts';
import { defineVerb } from '../command.ts';
import { parseExpires, parseText } from '../view/options.ts';

interface Options {
  expires?: { expires_at: string } | { expires_in: number };
  note?: string;
}

export const shareCreate = defineVerb<Options>({
  name: 'share create',
  summary: 'make a link that shows a package to whoever has it',
  description:
    'Makes a link that shows a finalized package, or one file of it, to whoever has the link, without a token, until it expires or is revoked. It is printed once, and nothing shows it again: the service keeps a hash.',
  examples: [
    'share create run-20260513T210255Z --expires 7d',
    'share create PACKAGE reports/report.html --expires 24h --note "for the auditor"',
  ],
  client: true,
  arguments: [
    { name: 'PACKAGE', description: 'its id, or its external id' },
    { name: 'PATH', description: 'of the one file that it shows; left out: the whole package', optional: true },
  ],
  options: [
    {
      flags: '--expires <time>',
      description: 'after so long (12h, 7d), or on a day or at a time as extend takes it; left out: after 7 days',
      parse: parseExpires,
      field: 'expires_at',
    },
    { flags: '--note <text>', description: 'whom it is for', parse: parseText(TEXT_MAX.description) },
  ],
  async run(context, [named = '', path], { expires, note }) {
    const { findPackage } = await import('../view/find-package.ts');
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const made = await client.access.createShare(pkg.id, { path, note, ...expires });
    const { formatTime } = await import('../format.ts');
    context.out.note(
      `${made.id}: this is the only time that the link is shown. It ends ${formatTime(made.expires_at)}.`,
    );
    return { json: made, text: made.url };
  },
});
