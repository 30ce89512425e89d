import { defineVerb } from '../command.ts';

export const cat = defineVerb({
  name: 'cat',
  summary: 'write one file of a package to stdout',
  description:
    'Writes the bytes of one file to stdout and hashes them on the way. Exit 5 at the end means that they do not match the package.',
  examples: ['cat PACKAGE reports/report.md', 'cat PACKAGE run.json | jq .status'],
  client: true,
  json: false,
  arguments: [
    { name: 'PACKAGE', description: 'its id, or its external id' },
    { name: 'PATH', description: "the file's path in the package" },
  ],
  async run({ client: open, out }, [named = '', path = '']) {
    const [{ catFile }, { findPackage }] = await Promise.all([
      import('../client/pull/cat.ts'),
      import('../view/find-package.ts'),
    ]);
    const client = await open();
    const pkg = await findPackage(client, named);
    for await (const chunk of catFile(client, pkg, path)) await out.write(chunk);
    return undefined;
  },
});
