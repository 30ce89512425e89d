import { TEXT_MAX } from '../../src/core/text-problem.ts';
import { WEBHOOK_FORMATS, WEBHOOK_URL_MAX, type WebhookFormat } from '../../src/core/webhook.ts';
import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';
import { parseText } from '../view/options.ts';

interface Options {
  type?: string[];
  producer?: string[];
  format?: WebhookFormat;
  description?: string;
}

export const webhookAdd = defineVerb<Options>({
  name: 'webhook add',
  summary: 'have events sent to a URL',
  description:
    'Has every event from now on sent to a URL, or those of some types and producers, as CloudEvents that are signed as Standard Webhooks has it. The secret is printed once, and nothing shows it again. Addresses that are not public, and http://, are refused unless the operator has allowed them (ARTIFACT_STORE_WEBHOOK_ALLOW).',
  examples: [
    'webhook add https://ci.example/hooks/artifacts --type package.finalized --type "hold.*"',
    'webhook add https://statehub.example/progress/ --format statehub --producer guide-board',
  ],
  client: true,
  arguments: [{ name: 'URL', description: 'where events are posted' }],
  options: [
    {
      flags: '--type <type>',
      description: 'an action of the audit, or a group as in package.*; left out: all',
      repeatable: true,
      parse: parseText(TEXT_MAX.token),
      field: 'types',
    },
    {
      flags: '--producer <name>',
      description: 'only events of packages of this producer; left out: all that may be read',
      repeatable: true,
      parse: parseText(TEXT_MAX.producer),
      field: 'producers',
    },
    {
      flags: '--format <format>',
      description:
        "how an event is written; statehub: the body of Statehub's POST /progress/, of finalized packages (cloudevents)",
      choices: WEBHOOK_FORMATS,
    },
    { flags: '--description <text>', description: 'what it is for', parse: parseText(TEXT_MAX.description) },
  ],
  async run(context, [given = ''], { type, producer, format, description }) {
    const client = await context.client();
    const url = parseText(WEBHOOK_URL_MAX)(given, 'URL');
    if (!URL.canParse(url)) {
      throw usageError(`${JSON.stringify(url)} is not a URL.`, 'Write one like https://ci.example/hooks/artifacts.');
    }
    const made = await client.webhooks.add({ url, types: type, producers: producer, format, description });
    context.out.note(
      `${made.id}: this is the only time that the secret is shown. \`artifact-store webhook test ${made.id}\` tries it.`,
    );
    return { json: made, text: made.secret };
  },
});
