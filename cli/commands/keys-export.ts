import { defineVerb } from '../command.ts';
import { CliError, EXIT } from '../errors.ts';

export const keysExport = defineVerb({
  name: 'keys export',
  summary: 'print a public key as PEM',
  description:
    'Prints a public key of the service as PEM: with it, openssl or `artifact-store verify --offline` checks an attestation. Hand it over by a way that you trust: whoever checks trusts this key alone.',
  examples: ['keys export > store.pem', 'keys export 4f8a > old.pem'],
  client: true,
  json: false,
  arguments: [
    { name: 'KEY', description: 'its id, or how it begins; left out: the key that signs now', optional: true },
  ],
  async run(context, [named]) {
    const client = await context.client();
    const { items, current } = await client.signingKeys();
    const found = items.filter(({ id }) => (named === undefined ? id === current : id.startsWith(named)));
    const [key] = found;
    if (key === undefined || found.length > 1) {
      throw new CliError(
        `${found.length === 0 ? 'No key' : 'More than one key'} begins with ${JSON.stringify(named)}.`,
        {
          exit: found.length === 0 ? EXIT.notFound : EXIT.usage,
          code: found.length === 0 ? 'key_not_found' : 'wrong_usage',
          next: '`artifact-store keys ls` lists them.',
        },
      );
    }
    await context.out.write(Buffer.from(key.public_key));
    return undefined;
  },
});
