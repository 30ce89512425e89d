import { defineVerb } from '../command.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  key?: string;
}

export const auditProve = defineVerb<Options>({
  name: 'audit prove',
  summary: 'print the proof that an event is in the audit',
  description:
    'Prints a proof (C2SP tlog-proof) that an audit event is in the log: the event itself, a few hashes, and a signed checkpoint. It is checked before it is printed, and by anybody later, without the service: `audit verify --proof`. The ids of events stand in GET /v1/audit. Exit code 5: the event is not the one that was logged.',
  examples: ['audit prove EVENT > hold.tlog-proof', 'audit prove EVENT --key store.pem --json'],
  client: true,
  arguments: [{ name: 'EVENT', description: 'its id: evt_…' }],
  options: [
    {
      flags: '--key <file>',
      description: 'the public key that must have signed, PEM; left out: those that the service names as its own',
      completes: 'file',
      parse: parseFilled,
    },
  ],
  async run(context, [event = ''], { key }) {
    const [{ signersOf }, { checkProof }, { provedOutcome }] = await Promise.all([
      import('../client/audit/signers.ts'),
      import('../client/audit/check-proof.ts'),
      import('../view/audit-lines.ts'),
    ]);
    const client = await context.client();
    const signers = await signersOf(client, key);
    const text = await client.log.proof(event);
    return provedOutcome(event, text, checkProof('the proof of the service', text, await signers(), []));
  },
});
