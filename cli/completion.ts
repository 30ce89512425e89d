import type { Verb, VerbOption } from './command.ts';
import { longName, optionsOf } from './program.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

/** A completion script made from the command table, so that it cannot drift from it. Needs nothing at run time. */
export function completionScript(shell: Shell, verbs: readonly Verb[]): string {
  return { bash, zsh, fish }[shell](verbs);
}

interface Flag {
  long: string;
  takesValue: boolean;
  option: VerbOption;
}

function flagsOf(verb: Verb): Flag[] {
  return optionsOf(verb).map((option) => ({
    long: longName(option),
    takesValue: option.flags.includes('<'),
    option,
  }));
}

/** What can follow these words: the first words of verbs, or the second ones. */
function nextWords(verbs: readonly Verb[], before: string): string[] {
  const start = before === '' ? '' : `${before} `;
  const found = verbs
    .filter(({ name }) => name.startsWith(start))
    .map(({ name }) => name.slice(start.length).split(' ')[0]);
  return [...new Set(found)].filter((word): word is string => word !== undefined && word !== '');
}

function groupsOf(verbs: readonly Verb[]): string[] {
  return [...new Set(verbs.filter(({ name }) => name.includes(' ')).map(({ name }) => name.split(' ')[0] as string))];
}

function bash(verbs: readonly Verb[]): string {
  const cases = verbs.map((verb) => {
    const flags = flagsOf(verb);
    const values = flags
      .filter(({ takesValue }) => takesValue)
      .map(({ long, option }) => `        ${long}) ${bashValue(option)}; return ;;`);
    const files = (verb.arguments ?? []).some(({ completes }) => completes === 'file') ? '-f' : '-d';
    const places = (verb.arguments ?? []).some(({ completes }) => completes !== undefined)
      ? `COMPREPLY=($(compgen ${files} -- "$cur"))`
      : ':';
    return `    ${JSON.stringify(verb.name)})
      case "$prev" in
${values.join('\n')}
      esac
      if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W ${quote(flags.map(({ long }) => long).join(' '))} -- "$cur"))
      else
        ${places}
      fi ;;`;
  });
  const groups = groupsOf(verbs).map(
    (group) =>
      `    ${JSON.stringify(group)}) COMPREPLY=($(compgen -W ${quote(nextWords(verbs, group).join(' '))} -- "$cur")) ;;`,
  );
  return `# bash completion for artifact-store; made by: artifact-store completion bash
_artifact_store() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W ${quote(`${nextWords(verbs, '').join(' ')} --help --version`)} -- "$cur"))
    return
  fi
  local verb=\${COMP_WORDS[1]}
  case "$verb" in
    ${[...groupsOf(verbs), '""'].join('|')}) ((COMP_CWORD > 2)) && verb="$verb \${COMP_WORDS[2]}" ;;
  esac
  case "$verb" in
${[...groups, ...cases].join('\n')}
  esac
}
complete -o filenames -F _artifact_store artifact-store
`;
}

function bashValue({ choices, completes }: VerbOption): string {
  if (choices) return `COMPREPLY=($(compgen -W ${quote(choices.join(' '))} -- "$cur"))`;
  if (completes) return `COMPREPLY=($(compgen ${completes === 'folder' ? '-d' : '-f'} -- "$cur"))`;
  return ':';
}

function zsh(verbs: readonly Verb[]): string {
  const list = nextWords(verbs, '').map((word) => {
    const verb = verbs.find(({ name }) => name === word);
    return `    ${quote(`${word}:${verb?.summary ?? `${word} …`}`)}`;
  });
  const cases = verbs.map((verb) => {
    const specs = flagsOf(verb).map(({ long, takesValue, option }) => {
      const text = `${option.repeatable ? '*' : ''}${long}[${escapeZsh(option.description)}]`;
      return quote(takesValue ? `${text}:${long.slice(2)}:${zshValue(option)}` : text);
    });
    const places = (verb.arguments ?? []).map(({ name, completes, several }, index) =>
      quote(
        `${several ? '*' : index + 1}:${name}:${completes === 'folder' ? '_files -/' : completes === 'file' ? '_files' : ' '}`,
      ),
    );
    return `    ${quote(verb.name)}) _arguments ${[...specs, ...places].join(' ')} ;;`;
  });
  const groups = groupsOf(verbs).map((group) => `    ${group}) compadd ${nextWords(verbs, group).join(' ')} ;;`);
  return `#compdef artifact-store
# zsh completion for artifact-store; made by: artifact-store completion zsh
_artifact_store() {
  local -a verbs
  verbs=(
${list.join('\n')}
  )
  if ((CURRENT == 2)); then
    _describe verb verbs
    compadd -- --help --version
    return
  fi
  local verb=$words[2]
  shift words
  ((CURRENT--))
  case $verb in
    ${[...groupsOf(verbs), "''"].join('|')}) if ((CURRENT > 2)); then verb="$verb $words[2]"; shift words; ((CURRENT--)); fi ;;
  esac
  case $verb in
${[...groups, ...cases].join('\n')}
  esac
}
compdef _artifact_store artifact-store
`;
}

function zshValue({ choices, completes }: VerbOption): string {
  if (choices) return `(${choices.join(' ')})`;
  if (completes) return completes === 'folder' ? '_files -/' : '_files';
  return ' ';
}

function escapeZsh(text: string): string {
  return text.replace(/[[\]:]/g, (character) => `\\${character}`);
}

function fish(verbs: readonly Verb[]): string {
  const lines = [
    '# fish completion for artifact-store; made by: artifact-store completion fish',
    'complete -c artifact-store -f',
  ];
  for (const word of nextWords(verbs, '')) {
    const verb = verbs.find(({ name }) => name === word);
    const summary = verb ? ` -d ${quote(verb.summary)}` : '';
    lines.push(`complete -c artifact-store -n __fish_use_subcommand -a ${word}${summary}`);
  }
  for (const group of groupsOf(verbs)) {
    lines.push(
      `complete -c artifact-store -n ${quote(`__fish_seen_subcommand_from ${group}`)} -a ${quote(nextWords(verbs, group).join(' '))}`,
    );
  }
  for (const verb of verbs) {
    const seen = verb.name
      .split(' ')
      .map((word) => `__fish_seen_subcommand_from ${word}`)
      .join('; and ');
    for (const { long, takesValue, option } of flagsOf(verb)) {
      const choices = option.choices ? ` -a ${quote(option.choices.join(' '))}` : '';
      const value = takesValue ? ` -r${option.completes ? ' -F' : ''}${choices}` : '';
      lines.push(
        `complete -c artifact-store -n ${quote(seen)} -l ${long.slice(2)}${value} -d ${quote(option.description)}`,
      );
    }
    if ((verb.arguments ?? []).some(({ completes }) => completes)) {
      lines.push(`complete -c artifact-store -n ${quote(seen)} -F`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** In single quotes, as all three shells read them (fish escapes differ only in what is not used here). */
function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
