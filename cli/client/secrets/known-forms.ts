import type { SecretLintRuleCreator } from '@secretlint/types';

/** A secret that is known by its form. */
interface KnownForm {
  kind: string;
  /** Global; the first group is the secret, without one the whole match. */
  pattern: RegExp;
  /** Whether it is one after all. */
  accept?: (secret: string) => boolean;
}

const FORMS: readonly KnownForm[] = [
  // RFC 7617: the base64 of `user:password`.
  {
    kind: 'basic-auth',
    pattern: /\bBasic ([A-Za-z0-9+/]{6,1024}={0,2})(?![A-Za-z0-9+/=])/gi,
    accept: (secret) =>
      /^[^\p{Cc}\ufffd:]{1,256}:[^\p{Cc}\ufffd]{1,512}$/u.test(Buffer.from(secret, 'base64').toString()),
  },
  // RFC 6750, section 2.1.
  {
    kind: 'bearer-token',
    pattern: /\bBearer ([A-Za-z0-9._~+/-]{16,3000}=*)/gi,
    accept: (secret) => /\d/.test(secret),
  },
  // RFC 7519, signed: three parts, the first of them a JSON object.
  { kind: 'jwt', pattern: /\b(eyJ[A-Za-z0-9_-]{8,1000}\.eyJ[A-Za-z0-9_-]{4,2000}\.[A-Za-z0-9_-]{16,500})/g },
  // Also where the host has no dot, and for all characters: a TCK runs against http://user:password@localhost.
  {
    kind: 'url-password',
    pattern: /\b[a-z][a-z0-9+.-]{1,20}:\/\/[^\s:/@"'<>]{1,256}:([^\s/@"'<>]{3,256})@[\w.[]/gi,
    accept: (secret) => !/^(?:[*x•#.]+|.*\$\{.*|.*\{\{.*|%\w+%|\$\w+|\{\w*\})$/i.test(secret),
  },
  { kind: 'google-api-key', pattern: /(?<![\w-])(AIza[\w-]{35})(?![\w-])/g },
  { kind: 'google-client-secret', pattern: /(?<![\w-])(GOCSPX-[\w-]{28})(?![\w-])/g },
  { kind: 'google-token', pattern: /(?<![\w-])(ya29\.[\w-]{20,1000})/g },
  { kind: 'azure-sas', pattern: /[?&;]sig=([A-Za-z0-9%+/]{40,200}(?:%3D|=){0,2})/gi },
  { kind: 'digitalocean-token', pattern: /(?<!\w)(do[opr]_v1_[a-f0-9]{64})(?!\w)/g },
];

/** What TCK logs print in headers and URLs, and the clouds that the preset does not know. */
export const KNOWN_FORMS: SecretLintRuleCreator[] = FORMS.map(({ kind, pattern, accept }) => ({
  messages: {},
  meta: { id: kind, recommended: true, type: 'scanner', supportedContentTypes: ['text'] },
  create: (context) => ({
    file({ content }) {
      for (const match of content.matchAll(pattern)) {
        const secret = match[1] as string;
        if (accept && !accept(secret)) continue;
        const start = match.index + match[0].indexOf(secret, match[0].length - secret.length - MAX_BEHIND);
        context.report({
          message: { message: kind, messageId: kind, data: {} },
          range: [start, start + secret.length],
        });
      }
    },
  }),
}));

/** Characters that a pattern may have behind its secret. */
const MAX_BEHIND = 2;
