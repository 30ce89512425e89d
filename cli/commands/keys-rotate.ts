import { defineVerb } from '../command.ts';

export const keysRotate = defineVerb({
  name: 'keys rotate',
  summary: 'sign with a new key from now on',
  description:
    'Makes a new key in the data folder of the service, which signs with it from now on. The old private key is removed; its public key is kept for ever, and what it signed stays valid. A key of ARTIFACT_STORE_ATTESTATION_KEY is changed there instead (exit 4).',
  examples: ['keys rotate'],
  client: true,
  async run(context) {
    const { printable } = await import('../format.ts');
    const client = await context.client();
    const key = await client.rotateKey();
    return {
      json: key,
      text: `Signs with ${printable(key.id)} from now on.\nGive its public key to those who check: artifact-store keys export`,
    };
  },
});
