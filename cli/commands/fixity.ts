import { defineVerb } from '../command.ts';
import { usageError } from '../errors.ts';

interface Options {
  now?: boolean;
  sample?: number;
}

export const fixity = defineVerb<Options>({
  name: 'fixity',
  summary: 'say whether stored bytes are still right, or read them now',
  description:
    'Says how much the service has read again within its period (ARTIFACT_STORE_FIXITY_PERIOD), what is overdue, and what is damaged: package, path, when its bytes were last seen good, how many other copies there are, and the command that mends it. With --now it reads first: everything, what holds one package, or a sample. The exit code is 5 when a file has no good bytes left, or when new damage was found.',
  examples: ['fixity', 'fixity --now', 'fixity --now PACKAGE', 'fixity --now --sample 1%'],
  client: true,
  arguments: [{ name: 'PACKAGE', description: 'its id, or its external id: only with --now', optional: true }],
  options: [
    { flags: '--now', description: 'read now' },
    {
      flags: '--sample <percent>',
      description: 'only so many of the objects, chosen by chance: 1%',
      parse: (text, flag) => {
        const percent = /^\d{1,3}(\.\d{1,4})?%?$/.test(text) ? Number.parseFloat(text) : 0;
        if (percent > 0 && percent <= 100) return percent;
        throw usageError(`${flag} must be a percentage above 0 and up to 100, as in 1%, not ${JSON.stringify(text)}.`);
      },
    },
  ],
  continues: 'The reading goes on in the service: GET /v1/operations/fixity lists it.',
  async run(context, [named], { now = false, sample }) {
    if (!now && (named !== undefined || sample !== undefined)) {
      throw usageError('PACKAGE and --sample choose what is read: add --now.');
    }
    if (named !== undefined && sample !== undefined) throw usageError('Give PACKAGE or --sample, not both.');
    const [{ watchFixity }, { findPackage }, { fixityOutcome, fixityRunOutcome }] = await Promise.all([
      import('../client/watch-fixity.ts'),
      import('../view/find-package.ts'),
      import('../view/fixity-lines.ts'),
    ]);
    const client = await context.client();
    if (!now) return fixityOutcome(await client.operations.fixity());
    const package_id = named === undefined ? undefined : (await findPackage(client, named)).id;
    const began = await client.operations.startFixity({ package_id, sample });
    return fixityRunOutcome(await watchFixity(client, began, (text) => context.out.note(text)));
  },
});
