import type { SecretLintRuleCreator } from '@secretlint/types';

/** Names of parameters whose values are secrets, as logs and reports print them. */
interface NamedSecret {
  kind: string;
  /** What the name ends with; what may stand before it is cut off by the pattern. */
  name: string;
  /** Characters of a value that is worth a finding. */
  atLeast: number;
}

const NAMED: readonly NamedSecret[] = [
  { kind: 'password', name: 'pass[._-]?(?:word|wd|phrase)|pwd', atLeast: 3 },
  { kind: 'oauth-client-secret', name: 'client[._-]?secret', atLeast: 3 },
  {
    kind: 'oauth-token',
    name: '(?:access|refresh|id|auth|oauth|bearer|session|security|api)[._-]?token',
    atLeast: 8,
  },
  { kind: 'token', name: String.raw`(?<![\w.-])token`, atLeast: 16 },
  { kind: 'api-key', name: 'api[._-]?key', atLeast: 8 },
  { kind: 'azure-key', name: 'accountkey|sharedaccesskey', atLeast: 40 },
  // After all that are more exact.
  { kind: 'secret', name: 'secret(?:[._-]?(?:access)?[._-]?key)?', atLeast: 6 },
];

/** `name = value`, `"name": "value"`, `name" value="value"`, `<td>name</td><td>value</td>`, in JSON within JSON too. */
const SEPARATOR = String.raw`(?:["'\]\\${'`'}*]{0,4}[ \t]{0,4}(?:=>|[=:])[ \t]{0,4}|["'][ \t]{1,4}value[ \t]{0,4}=[ \t]{0,4}|[ \t]{0,4}</t[dh]>[ \t\r\n]{0,16}<t[dh][^>]{0,64}>)`;
/** A value in quotes ends with them; another one with the line, with markup, or where the next pair of a list begins. */
const VALUE = String.raw`(?:\\{0,3}"(?<double>[^"\\\r\n]{0,512})|\\{0,3}'(?<single>[^'\\\r\n]{0,512})|(?<plain>(?:(?![&,;][ \t]{0,4}[\w.-]{1,64}=)[^ \t\r\n"'<>\\]){1,512}))`;

/** What a name's value is when it is no secret: nothing, a mask, a variable, a folder, or code that gets it. In bytes, as the text. */
const NO_SECRET =
  /^(?:(?:[*x#._-]|\xe2\x80\xa2)*|null|none|nil|undefined|true|false|empty|unset|yes|no|string|secret|password|token|\[?(?:redacted|masked|hidden|removed|filtered|protected|none|null)\]?|\[|\(.*|.*\$\{.*|.*\{\{.*|%\w+%|\$\w+|.*\w\(.*|\d{1,2}|\/(?:home|root|tmp|usr|var|opt|etc|mnt|srv|data|app|users|builds?|work(?:space)?)(?:\/.*)?|[a-z]:[\\/].*)$/i;

/** Closes what the value stands in, and is not of it. */
const CLOSING = /[,;)\]}]+$/;

/** Secrets that are known by their names. */
export const NAMED_VALUES: SecretLintRuleCreator[] = NAMED.map(({ kind, name, atLeast }) => ({
  messages: {},
  meta: { id: kind, recommended: true, type: 'scanner', supportedContentTypes: ['text'] },
  create: (context) => ({
    file({ content }) {
      const pattern = new RegExp(`(?:${name})${SEPARATOR}${VALUE}`, 'gid');
      for (const match of content.matchAll(pattern)) {
        const { double, single, plain } = match.groups as Record<string, string | undefined>;
        const value = double ?? single ?? (plain as string).replace(CLOSING, '');
        if (value.trim().length < atLeast || NO_SECRET.test(value.trim())) continue;
        const places = match.indices?.groups as Record<string, [number, number] | undefined>;
        const [start] = (places.double ?? places.single ?? places.plain) as [number, number];
        context.report({ message: { message: kind, messageId: kind, data: {} }, range: [start, start + value.length] });
      }
    },
  }),
}));
