import { defineVerb } from '../command.ts';
import { parsePercent, parseSize } from '../view/options.ts';

interface Options {
  apply?: boolean;
  reconcile?: boolean;
  maxDead?: number;
  maxRewrite?: number;
}

export const sweep = defineVerb<Options>({
  name: 'sweep',
  summary: 'find and free the bytes that nothing needs any more',
  description:
    'Lists what the store holds that no package needs: objects, leftovers of uploads, files on their way in. With --apply it acts: what is not needed is condemned, and what was condemned longer ago than ARTIFACT_STORE_SWEEP_GRACE (24 h) and is still not needed is removed; packs that are mostly dead, and small ones, are written anew without what is dead. A package that needs condemned bytes again keeps them. --reconcile compares registry and store after a restore; until then sweeps refuse to act.',
  examples: ['sweep', 'sweep --apply', 'sweep --apply --max-dead 30 --max-rewrite 20GB'],
  client: true,
  options: [
    { flags: '--apply', description: 'act; without it nothing is changed' },
    {
      flags: '--max-dead <percent>',
      description: 'write packs anew of which more than this is dead (50)',
      parse: parsePercent,
    },
    { flags: '--max-rewrite <size>', description: 'write at most this much anew: 500MB, 20GB', parse: parseSize },
    { flags: '--reconcile', description: 'after a restore: compare both sides, and let sweeps act again' },
  ],
  continues: 'The sweep goes on in the service: GET /v1/operations/sweeps lists it.',
  async run(context, _args, { apply = false, reconcile = false, maxDead, maxRewrite }) {
    const [{ watchSweep }, { sweepOutcome }] = await Promise.all([
      import('../client/watch-sweep.ts'),
      import('../view/sweep-lines.ts'),
    ]);
    const client = await context.client();
    const began = await client.operations.startSweep({
      apply,
      reconcile,
      ...(maxDead === undefined ? {} : { max_dead: maxDead }),
      ...(maxRewrite === undefined ? {} : { max_rewrite: maxRewrite }),
    });
    return sweepOutcome(await watchSweep(client, began, (text) => context.out.note(text)));
  },
});
