import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import { parseDays, parseReason, parseUntil } from '../view/options.ts';

interface Options {
  until?: string;
  days?: number;
  reason: string;
}

export const extend = defineVerb<Options>({
  name: 'extend',
  summary: 'keep a package longer',
  description:
    'Moves the expiry of a package to a later time, never to an earlier one. --days counts from the current expiry.',
  examples: [
    'extend run-20260513T210255Z --days 30 --reason "audit in July"',
    'extend PACKAGE --until 2028-12-31 --reason "certification"',
  ],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  options: [
    {
      flags: '--until <time>',
      description: 'a day (until its end, UTC), or a time with a time zone',
      parse: parseUntil,
      field: 'expires_at',
    },
    { flags: '--days <n>', description: 'days after the current expiry', parse: parseDays },
    { flags: '--reason <text>', description: 'why; kept forever', required: true, parse: parseReason },
  ],
  async run(context, [named = ''], { until, days, reason }) {
    if ((until === undefined) === (days === undefined)) throw usageError('Give either --until or --days.');
    const { findPackage } = await import('../view/find-package.ts');
    const { sayExpiry } = await import('../../src/core/expiry-text.ts');
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const retention = await client.extendRetention(pkg.id, { expires_at: until, days, reason });
    const now = Date.now();
    return {
      json: retention,
      text: `${pkg.id} expires ${sayExpiry(retention.expires_at, now)}; it was ${sayExpiry(pkg.retention.expires_at, now)}.`,
    };
  },
});
