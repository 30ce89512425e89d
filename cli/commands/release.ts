import { defineVerb } from '../command.ts';
import { CliError, EXIT } from '../errors.ts';
import { parseReason } from '../view/options.ts';

interface Options {
  reason: string;
}

export const release = defineVerb<Options>({
  name: 'release',
  summary: 'release a hold',
  description: 'Releases a hold. HOLD is optional if there is exactly one. Releasing deletes nothing.',
  examples: ['release run-20260513T210255Z --reason "settled"'],
  client: true,
  arguments: [
    { name: 'PACKAGE', description: 'its id, or its external id (a run id)' },
    { name: 'HOLD', description: "the hold's id", optional: true },
  ],
  options: [{ flags: '--reason <text>', description: 'why; kept forever', required: true, parse: parseReason }],
  async run(context, [named = '', holdId], { reason }) {
    const { findPackage } = await import('../view/find-package.ts');
    const { activeHolds, holdTexts } = await import('../view/package-lines.ts');
    const { printable } = await import('../format.ts');
    const client = await context.client();
    const pkg = await findPackage(client, named);
    const active = activeHolds((await client.retention(pkg.id)).holds);
    const only = active[0];
    if (holdId === undefined && only === undefined) {
      throw new CliError(`${pkg.id} has no hold.`, { exit: EXIT.notFound, code: 'hold_not_found' });
    }
    if (holdId === undefined && active.length > 1) {
      throw new CliError(`${pkg.id} has ${active.length} holds: name the one to release.`, {
        exit: EXIT.usage,
        code: 'wrong_usage',
        next: holdTexts(active).map(printable).join('\n'),
        extras: { holds: active.map((hold) => hold.id) },
      });
    }
    const hold = await client.releaseHold(pkg.id, holdId ?? only?.id ?? '', reason);
    const left = active.filter(({ id }) => id !== hold.id).length;
    return {
      json: { package_id: pkg.id, ...hold },
      text: `${hold.id} is released; ${left === 0 ? 'nothing holds' : `${left} more hold`} ${pkg.id}.`,
    };
  },
});
