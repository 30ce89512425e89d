import { TEXT_MAX } from '../../src/core/text-problem.ts';
import { defineVerb } from '../command.ts';
import { parseReason, parseText } from '../view/options.ts';

interface Options {
  reason: string;
  reference?: string;
}

export const hold = defineVerb<Options>({
  name: 'hold',
  summary: 'block the deletion of a package until the hold is released',
  description: 'Places a hold: the package cannot be deleted until every hold on it is released, whatever its expiry.',
  examples: ['hold run-20260513T210255Z --reason "disputed finding" --reference CASE-17'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id (a run id)' }],
  options: [
    { flags: '--reason <text>', description: 'why; kept forever', required: true, parse: parseReason },
    { flags: '--reference <text>', description: 'a case, a ticket, a contract', parse: parseText(TEXT_MAX.reference) },
  ],
  async run(context, [named = ''], { reason, reference }) {
    const { findPackage } = await import('../view/find-package.ts');
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const placed = await client.placeHold(pkg.id, { reason, reference });
    return {
      json: { package_id: pkg.id, ...placed },
      text: `${pkg.id} is held by ${placed.id}: it cannot be deleted until the hold is released.`,
    };
  },
});
