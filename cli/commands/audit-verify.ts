import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  checkpoint?: string[];
  key?: string;
  proof?: string;
}

const TELL_EVERY = 100_000;

export const auditVerify = defineVerb<Options>({
  name: 'audit verify',
  summary: 'check that the audit is what was logged',
  description:
    'Reads every audit event and every leaf of the log, recomputes the tree, and compares it with the checkpoints that you kept (--checkpoint) and with one that the service signs now. An event that was edited, removed, inserted, moved or cut off is named: the first one, and the exit code is 5. Without --checkpoint only what the service itself has kept is compared: whoever can write its registry and its storage can change both. With --proof no service is needed: checks that the proof, from `audit prove`, leads to a checkpoint that --key has signed, and prints the event.',
  examples: [
    'audit verify',
    'audit verify --checkpoint 2026-05.checkpoint --key store.pem',
    'audit verify --proof hold.tlog-proof --key store.pem',
  ],
  client: true,
  options: [
    {
      flags: '--checkpoint <file>',
      description: 'a checkpoint that you kept; may be given several times',
      repeatable: true,
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
      flags: '--proof <file>',
      description: 'check this proof instead, without a service',
      completes: 'file',
      parse: parseFilled,
    },
  ],
  async run(context, _args, { checkpoint = [], key, proof }) {
    const [evidence, view] = await Promise.all([
      import('../client/audit/read-evidence.ts'),
      import('../view/audit-lines.ts'),
    ]);
    if (proof !== undefined) {
      if (key === undefined) throw usageError('--proof needs --key: the proof does not say whose key to trust.');
      const named = [await evidence.readKey(key)];
      const { checkProof } = await import('../client/audit/check-proof.ts');
      const kept = await Promise.all(checkpoint.map((file) => evidence.readKept(file, named)));
      return view.proofOutcome(checkProof(proof, await evidence.readText(proof), named, kept));
    }
    const [{ verifyLog }, { signersOf }, { newestCheckpoint }] = await Promise.all([
      import('../client/audit/verify-log.ts'),
      import('../client/audit/signers.ts'),
      import('../client/audit/newest-checkpoint.ts'),
    ]);
    const client = await context.client();
    const signers = await signersOf(client, key);
    const keys = await signers();
    const kept = await Promise.all(checkpoint.map((file) => evidence.readKept(file, keys)));
    const newest = await newestCheckpoint(client, signers);
    const { size } = newest.checkpoint;
    let told = 0;
    const tell = (entries: number): void => {
      if (entries - told < TELL_EVERY) return;
      told = entries;
      context.out.note(`compared ${entries} of ${size} entries`);
    };
    return view.verifiedOutcome(await verifyLog(client, newest, kept, tell), kept.length);
  },
});
