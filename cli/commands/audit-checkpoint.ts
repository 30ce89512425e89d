import { defineVerb } from '../command.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  since?: string;
  key?: string;
}

export const auditCheckpoint = defineVerb<Options>({
  name: 'audit checkpoint',
  summary: 'print a signed checkpoint of the audit, to be kept elsewhere',
  description:
    'Prints a checkpoint of every audit event so far, signed by the service (C2SP signed note). Keep it where nobody who can change the service can change it: `audit verify --checkpoint` then finds whatever was changed in the audit since. With --since, a checkpoint that you kept: also asks for the proof that nothing before it was changed, and checks it with some dozen hashes; exit code 5 when there is none.',
  examples: [
    'audit checkpoint > 2026-05.checkpoint',
    'audit checkpoint --since 2026-05.checkpoint > 2026-06.checkpoint',
  ],
  client: true,
  options: [
    {
      flags: '--since <file>',
      description: 'a checkpoint that you kept',
      completes: 'file',
      parse: parseFilled,
    },
    {
      flags: '--key <file>',
      description: 'the public key that must have signed, PEM; left out: those that the service names as its own',
      completes: 'file',
      parse: parseFilled,
    },
  ],
  async run(context, _args, { since, key }) {
    const [{ readKept, readKey }, { newestCheckpoint, trustedKeys }, { checkpointOutcome }] = await Promise.all([
      import('../client/audit/read-evidence.ts'),
      import('../client/audit/newest-checkpoint.ts'),
      import('../view/audit-lines.ts'),
    ]);
    const client = await context.client();
    const keys = key === undefined ? await trustedKeys(client) : [await readKey(key)];
    const kept = since === undefined ? null : await readKept(since, keys);
    const newest = await newestCheckpoint(client, keys);
    if (kept !== null) {
      const { checkConsistency } = await import('../client/audit/check-consistency.ts');
      await checkConsistency(client, kept, newest);
    }
    return checkpointOutcome(newest, kept);
  },
});
