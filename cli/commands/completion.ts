import { defineVerb } from '../command.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;

export const completion = defineVerb({
  name: 'completion',
  summary: 'print a completion script for a shell',
  description: 'Prints a completion script for bash, zsh or fish, with the verbs and options of this version.',
  examples: [
    'completion bash > ~/.local/share/bash-completion/completions/artifact-store',
    'completion zsh > "$HOME/.zfunc/_artifact-store"',
    'completion fish > ~/.config/fish/completions/artifact-store.fish',
  ],
  arguments: [{ name: 'SHELL', description: SHELLS.join(', ') }],
  client: false,
  json: false,
  async run({ out, verbs }, [shell]) {
    const [{ completionScript }, { usageError }] = await Promise.all([
      import('../completion.ts'),
      import('../errors.ts'),
    ]);
    const known = SHELLS.find((name) => name === shell);
    if (!known)
      throw usageError(`There is no completion script for ${JSON.stringify(shell)}: use ${SHELLS.join(', ')}.`);
    await out.write(completionScript(known, verbs));
    return undefined;
  },
});
