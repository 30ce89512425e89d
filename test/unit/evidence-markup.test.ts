import test from 'ava';
import fc from 'fast-check';
import { evidenceHeaders } from '../../src/ui/evidence/headers.ts';
import { hitsMarkup, linesMarkup, plainText } from '../../src/ui/evidence/lines.ts';
import { evidenceLinks } from '../../src/ui/evidence/links.ts';
import type { Html } from '../../src/ui/html.ts';

const HOSTILE = [
  '<',
  '>',
  '"',
  "'",
  '&',
  '<script>',
  '&lt;',
  '\u001b[31m',
  '\u001b]0;',
  '\u0007',
  '\u202e',
  '</pre>',
  'x',
];
const bytes = fc
  .array(
    fc.oneof(
      fc.constantFrom(...HOSTILE).map((text) => Buffer.from(text)),
      fc.uint8Array({ maxLength: 4 }).map((all) => Buffer.from(all)),
    ),
  )
  .map((parts) => Buffer.concat(parts));
const lines = fc
  .array(bytes, { maxLength: 5 })
  .map((all) => all.map((each, n) => ({ bytes: each, at: n, number: n + 1, whole: true })));

/** Every tag that these pages write. */
const TAG =
  /<pre class="lines" tabindex="0" role="region" aria-label="[A-Za-z ]+">|<\/pre>|<span class="(?:line|c|a-[a-z0-9]+(?: a-[a-z0-9]+)*)">|<\/span>|<a class="n" (?:id="L\d+" )?href="(?:#L\d+|\/at\/\d+)">|<\/a>|<mark>|<\/mark>|<em class="hidden-line">|<\/em>/g;

test('whatever a file contains, its lines are nothing but text and the tags that are known', (t) => {
  fc.assert(
    fc.property(lines, fc.string({ minLength: 1, maxLength: 3 }), (all, sought) => {
      const shown: Html[] = [
        linesMarkup(all, new Map([[2, 'a <b>secret</b>']])),
        hitsMarkup(all, sought, ({ at }) => `/at/${at}`),
      ];
      return shown.every((markup) => {
        const rest = markup
          .toString()
          .replaceAll(TAG, '')
          .replaceAll(/&(?:amp|lt|gt|quot|#39);/g, '');
        return !/[<>"'&]/.test(rest) && !/[\p{Bidi_Control}]/u.test(rest) && !rest.includes('\u001b');
      });
    }),
  );
  t.pass();
});

test('what a line is to a search has no escape sequences that are understood', (t) => {
  t.is(plainText({ bytes: Buffer.from('\u001b[31mr\u001b[0med') }), 'red');
});

test('addresses hold whatever a file is called, and lead to it again', (t) => {
  const segment = fc
    .string({ unit: 'binary', minLength: 1 })
    .filter((text) => text.isWellFormed() && !/^\.{1,2}$/.test(text) && !text.includes('/'));
  fc.assert(
    fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), (segments) => {
      const links = evidenceLinks('/ui/packages/x', '/ui/packages/x/files/', 'token');
      const { pathname, search, hash } = new URL(links.raw(segments.join('/')), 'http://host');
      const back = pathname.split('/').slice(4).map(decodeURIComponent);
      return search === '' && hash === '' && JSON.stringify(back) === JSON.stringify(segments);
    }),
  );
  t.pass();
});

test('no host that a request names can add to a policy', (t) => {
  for (const host of ['x;script-src *', 'x, y', 'x y', "x'", '', '*', 'a/b', '[::1', 'x:123456']) {
    const policy = evidenceHeaders('active', host, 'token')['Content-Security-Policy'] as string;
    t.true(policy.includes("img-src data: blob: 'none';"), host);
    t.is(policy.split(';').length, 13);
  }
  for (const host of ['store.example', '127.0.0.1:8420', '[::1]:8420']) {
    t.true(
      (evidenceHeaders('active', host, 'to-ken_.1')['Content-Security-Policy'] as string).includes(
        ` ${host}/ui/evidence/to-ken_.1/;`,
      ),
      host,
    );
  }
});
