import { defineVerb } from '../command.ts';

export const keysLs = defineVerb({
  name: 'keys ls',
  summary: 'list the keys that check attestations',
  description:
    'Lists the public keys that the service signs attestations with, or has signed them with. A retired key signs nothing more; what it signed stays valid.',
  examples: ['keys ls', 'keys ls --json'],
  client: true,
  async run(context) {
    const { formatTime, printable } = await import('../format.ts');
    const client = await context.client();
    const list = await client.signingKeys();
    const lines = list.items.map(({ id, since, retired_at }) => {
      const now = id === list.current ? 'signs' : 'signed here or elsewhere';
      return `${printable(id)}  since ${formatTime(since)}  ${retired_at === null ? now : `retired ${formatTime(retired_at)}`}`;
    });
    return { json: list, text: lines.join('\n') };
  },
});
