import { defineVerb } from '../command.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  since?: string;
  key?: string;
  timestamp?: string;
}

export const auditCheckpoint = defineVerb<Options>({
  name: 'audit checkpoint',
  summary: 'print a signed checkpoint of the audit, to be kept elsewhere',
  description:
    'Prints a checkpoint of every audit event so far, signed by the service (C2SP signed note). Keep it where nobody who can change the service can change it: `audit verify --checkpoint` then finds whatever was changed in the audit since. With --since, a checkpoint that you kept: also asks for the proof that nothing before it was changed, and checks it with some dozen hashes; exit code 5 when there is none. With --timestamp: prints the newest checkpoint that a time stamp authority has stamped, and writes the stamp (RFC 3161) to FILE; openssl verifies it with the certificate of the authority.',
  examples: [
    'audit checkpoint > 2026-05.checkpoint',
    'audit checkpoint --since 2026-05.checkpoint > 2026-06.checkpoint',
    'audit checkpoint --timestamp 2026-05.tsr > 2026-05.checkpoint',
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
    {
      flags: '--timestamp <file>',
      description: 'the newest one with a time stamp, which is written there; never replaces another file',
      completes: 'file',
      parse: parseFilled,
    },
  ],
  async run(context, _args, { since, key, timestamp }) {
    const [{ readKept }, { signersOf }, { newestCheckpoint }, { checkConsistency }, { checkpointOutcome }] =
      await Promise.all([
        import('../client/audit/read-evidence.ts'),
        import('../client/audit/signers.ts'),
        import('../client/audit/newest-checkpoint.ts'),
        import('../client/audit/check-consistency.ts'),
        import('../view/audit-lines.ts'),
      ]);
    const client = await context.client();
    const signers = await signersOf(client, key);
    const kept = since === undefined ? null : await readKept(since, await signers());
    const newest = await newestCheckpoint(client, signers);
    if (kept !== null) await checkConsistency(client, kept, newest);
    if (timestamp === undefined) return checkpointOutcome(newest, kept, null);
    const { stampedCheckpoint } = await import('../client/audit/stamped-checkpoint.ts');
    const stamped = await stampedCheckpoint(client, signers);
    await checkConsistency(client, stamped, newest);
    const { saveSmallFile } = await import('../client/target/small-file.ts');
    await saveSmallFile(timestamp, stamped.stamp);
    const at = new Date(stamped.stampedAt).toISOString();
    context.out.note(`${timestamp} is the time stamp of this checkpoint, and says ${at}.`);
    return checkpointOutcome(stamped, kept, { file: timestamp, at });
  },
});
