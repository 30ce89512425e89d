import { SCOPES, type Scope } from '../../src/core/scopes.ts';
import { TEXT_MAX } from '../../src/core/text-problem.ts';
import { defineVerb } from '../command.ts';
import { parseExpires, parseScope, parseText } from '../view/options.ts';

interface Options {
  name: string;
  scope: Scope[];
  producer?: string[];
  expires?: { expires_at: string } | { expires_in: number };
  description?: string;
}

export const tokenCreate = defineVerb<Options>({
  name: 'token create',
  summary: 'make a token that may do some things',
  description:
    'Makes a token with the scopes that are named, for the packages of all producers or of those that are named. It is printed once, and nothing shows it again: the service keeps a hash. Once there is a token, the service answers nobody without one: make the first with the admin token, or with --local while the service is stopped.',
  examples: [
    'token create --name "CI of guide-board" --scope packages:read --scope packages:write --producer guide-board --expires 90d',
    'token create --name operations --scope operator --scope audit:read --local --data-dir /srv/artifacts',
  ],
  client: true,
  makesDataFolder: true,
  options: [
    {
      flags: '--name <text>',
      description: 'what it is for; it stands in the audit',
      required: true,
      parse: parseText(TEXT_MAX.token),
    },
    {
      flags: '--scope <scope>',
      description: 'what it may do',
      required: true,
      repeatable: true,
      choices: SCOPES,
      parse: parseScope,
      field: 'scopes',
    },
    {
      flags: '--producer <name>',
      description: 'only packages of this producer; others do not exist for it',
      repeatable: true,
      parse: parseText(TEXT_MAX.producer),
      field: 'producers',
    },
    {
      flags: '--expires <time>',
      description: 'after so long (12h, 90d), or on a day or at a time as extend takes it; left out: never',
      parse: parseExpires,
      field: 'expires_at',
    },
    { flags: '--description <text>', description: 'more about it', parse: parseText(TEXT_MAX.description) },
  ],
  async run(context, _args, { name, scope, producer, expires, description }) {
    const client = await context.client();
    const body = { name, description, scopes: scope, producers: producer, ...expires };
    const made = await client.access.createToken(body);
    context.out.note(`${made.id}: this is the only time that the token is shown.`);
    return { json: made, text: made.token };
  },
});
