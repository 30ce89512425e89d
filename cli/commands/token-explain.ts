import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import { parseFilled } from '../view/options.ts';

interface Options {
  identities?: string;
}

export const tokenExplain = defineVerb<Options>({
  name: 'token explain',
  summary: 'say which identity rule a JWT matches, or why none does',
  description:
    'Checks the JWT of a CI job as the service with this file of rules would, and says what it found: whether a trusted issuer signed it, and for each rule whether it matches or which claims are not as it wants them. It runs where the file is, asks the issuer for its keys and no service for anything. An expired JWT is explained, too. The JWT is never printed. Exit code 4: the service would refuse it; 6: the keys of its issuer cannot be had.',
  examples: [
    'token explain - --identities identities.json < token.jwt',
    'token explain "$JWT" --identities identities.json --json',
  ],
  client: false,
  arguments: [{ name: 'JWT', description: 'the token; -: it is read from stdin, where no list of processes shows it' }],
  options: [
    {
      flags: '--identities <file>',
      description: 'the file of identity rules (ARTIFACT_STORE_OIDC_RULES)',
      completes: 'file',
      parse: parseFilled,
      variable: 'ARTIFACT_STORE_OIDC_RULES',
    },
  ],
  async run({ env }, [jwt = ''], { identities }) {
    const file = identities ?? (env.ARTIFACT_STORE_OIDC_RULES || undefined);
    if (file === undefined) {
      throw usageError('token explain needs the file of identity rules: name it with --identities.');
    }
    const [{ explainToken, readJwt }, { explainedOutcome }] = await Promise.all([
      import('../explain-token.ts'),
      import('../view/token-lines.ts'),
    ]);
    const text = jwt === '-' ? await readJwt(process.stdin) : jwt;
    return explainedOutcome(await explainToken(text, file, env));
  },
});
