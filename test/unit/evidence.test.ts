import test from 'ava';
import fc from 'fast-check';
import { evidenceKind } from '../../src/core/evidence-kind.ts';
import { evidenceTokens } from '../../src/core/evidence-token.ts';
import { newId, type PackageId, type ShareId } from '../../src/core/ids.ts';
import { LineCutter } from '../../src/core/line-cutter.ts';
import { parseLogicalPath } from '../../src/core/logical-path.ts';
import { secretsOfFile } from '../../src/core/secret-places.ts';

const GRANT = {
  packageId: newId('pkg', 1) as PackageId,
  path: parseLogicalPath('a/ü b.html'),
  shareId: newId('shr', 1) as ShareId,
  expires: 1_000,
};

test('a token says what was signed, until it expires, and nothing that is altered is one', (t) => {
  const tokens = evidenceTokens(Buffer.from('key'));
  const token = tokens.sign(GRANT);
  t.regex(token, /^[\w.-]+$/, 'it can stand in a path');
  t.deepEqual(tokens.verify(token, 999), GRANT);
  t.throws(() => tokens.verify(token, 1_000), { message: /expired/ });
  t.throws(() => evidenceTokens(Buffer.from('other')).verify(token, 1), { message: /altered/ });
  fc.assert(
    fc.property(fc.nat(token.length - 1), fc.constantFrom(...'Aa0_-.='), (at, character) => {
      const altered = token.slice(0, at) + character + token.slice(at + 1);
      if (altered === token) return true;
      try {
        tokens.verify(altered, 1);
        return false;
      } catch {
        return true;
      }
    }),
  );
  for (const none of ['', '.', 'x', `${token}.`, `${token}=`, '..']) t.throws(() => tokens.verify(none, 1));
});

test('what a producer says of a file makes nothing active, and nothing that is active harmless', (t) => {
  t.is(evidenceKind('a/report.HTML', 'text/plain').kind, 'active');
  t.is(evidenceKind('x.svg', 'image/png').kind, 'active');
  t.is(evidenceKind('x.txt', 'text/html').type, 'text/plain; charset=utf-8');
  t.is(evidenceKind('x', 'text/html').kind, 'none');
  t.is(evidenceKind('x', 'image/svg+xml').type, 'text/plain; charset=utf-8');
  t.is(evidenceKind('x.bin', 'text/x-log').kind, 'text');
  t.is(evidenceKind('x.constructor', '').kind, 'none');
  t.is(evidenceKind('x.xml', '').type, 'text/plain; charset=utf-8', 'no style sheet makes a page of it');
  fc.assert(
    fc.property(fc.string(), fc.string(), (path, type) => {
      const known = evidenceKind(path, type);
      const runs = /html|svg/.test(known.type);
      return runs === (known.kind === 'active') && (!runs || /\.(x?html?|svg)$/i.test(path));
    }),
  );
});

test('lines are cut the same wherever the pieces end, and none is kept longer than it may be', (t) => {
  const text = fc
    .array(fc.constantFrom('a', 'é', '\n', '\r\n', 'xyz', '\r'))
    .map((parts) => Buffer.from(parts.join('')));
  fc.assert(
    fc.property(text, fc.array(fc.nat(20)), fc.integer({ min: 1, max: 9 }), (bytes, cuts, most) => {
      const cutter = new LineCutter(most);
      const lines = [];
      let at = 0;
      for (const size of [...cuts, bytes.length]) {
        lines.push(...cutter.take(bytes.subarray(at, at + size)));
        at += size;
      }
      const rest = cutter.rest();
      if (rest) lines.push(rest);
      const expected = bytes.toString('latin1').split('\n');
      if (expected.at(-1) === '') expected.pop();
      let start = 0;
      return (
        lines.length === expected.length &&
        lines.every((line, n) => {
          const all = expected[n] as string;
          const kept = all.slice(0, most);
          const shown = line.whole && kept.endsWith('\r') ? kept.slice(0, -1) : kept;
          const right =
            Buffer.from(line.bytes).toString('latin1') === shown && line.at === start && line.number === n + 1;
          start += all.length + 1;
          return right;
        })
      );
    }),
  );
  t.pass();
});

test('what is recorded of secrets is read, whatever shape the metadata has', (t) => {
  const place = { path: 'a', line: 3, kind: 'aws', accepted: false };
  t.deepEqual(
    secretsOfFile({ secret_findings: { count: 2, places: [place, { ...place, path: 'b' }] } } as never, 'a'),
    {
      places: [place],
      incomplete: false,
    },
  );
  t.true(secretsOfFile({ secret_findings: { count: 5, places: [] } } as never, 'a').incomplete);
  fc.assert(
    fc.property(fc.jsonValue(), (value) => secretsOfFile({ secret_findings: value } as never, 'a').places.length >= 0),
  );
});
