import fc from 'fast-check';
import type { Schema } from './document.ts';

/** Something that exists, looked up when the request is sent. */
export class Ref {
  readonly kind: string;
  readonly nth: number;

  constructor(kind: string, nth: number) {
    this.kind = kind;
    this.nth = nth;
  }

  [fc.toStringMethod](): string {
    return `‹${this.kind} ${this.nth}›`;
  }
}

const ref = (kind: string) => fc.nat(1_000).map((nth) => new Ref(kind, nth));
/** More contents than are stored soon, so that there is always something to send. */
const content = fc.nat(100_000).map((nth) => new Ref('content', nth));

const word = fc.constantFrom(
  'a',
  'b',
  'run',
  'log.txt',
  'é',
  'e\u0301',
  '日本',
  '🎉',
  'x'.repeat(200),
  '-rf',
  ' ',
  '%2e%2e',
  'tmp',
);
export const logicalPath = fc.array(word, { minLength: 1, maxLength: 3 }).map((segments) => segments.join('/'));

const TIMES = [
  '2026-01-01T00:00:00Z',
  '2026-12-31T23:59:59.999999999+14:00',
  '1970-01-01T00:00:00.000Z',
  '0000-01-01T00:00:00Z',
  '0000-01-01T00:00:00+23:59',
  '9999-12-31T23:59:59.999Z',
  '9999-12-31T23:59:59.999-23:59',
  '2024-02-29T12:00:00.1Z',
  `2026-01-01T00:00:00.${'1'.repeat(60)}Z`,
  '2030-06-01T00:00:00Z',
];

/** By the name of a field or parameter: what the schema says of it, and what exists. */
const NAMED: Record<string, fc.Arbitrary<unknown>> = {
  id: ref('package'),
  package_id: ref('package'),
  supersedes: fc.oneof(ref('finalized'), ref('package')),
  upload_id: ref('upload'),
  hold_id: ref('hold'),
  object_id: ref('object'),
  event: ref('event'),
  decision: ref('event'),
  number: fc.integer({ min: 1, max: 3 }).map(String),
  path: logicalPath,
  paths: fc.array(logicalPath, { minLength: 1, maxLength: 3 }),
  producer: fc.constantFrom('p', 'nightly-build', 'é', 'x'.repeat(128)),
  external_id: fc.nat(40).map((n) => `run ${n}`),
  retention_class: fc.constantFrom('transient', 'raw-evidence', 'permanent-record'),
  media_type: fc.constantFrom('text/plain', 'application/json; charset=utf-8', 'a/b'),
  cursor: fc.constantFrom(...Array(9).fill(undefined), '', 'AAAA', 'x'.repeat(100)),
  signature: fc.constantFrom('x', 'A'.repeat(43)),
  range: fc.constantFrom('0-10', '5-0', '999999999999999-1'),
  digest: content,
  files_digest: content,
  stored_digest: content,
  frames: fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('base64')),
  reason: fc.oneof(fc.constantFrom('because', 'two\nlines', '  blanks  ', 'x'.repeat(2_000)), printable(40)),
  limit: fc.constantFrom(1, 2, 3, 7, 20, 20, 100, 1_000),
  action: fc.constantFrom('package.created', 'hold.placed', 'upload.committed'),
  sample: fc.constantFrom(0.001, 1, 50, 100),
  etag: fc.constantFrom('"x"', ''),
};

function printable(most: number): fc.Arbitrary<string> {
  return fc.string({ unit: 'grapheme', minLength: 1, maxLength: most }).map((text) => text.replace(/\p{Cc}|\s/gu, '_'));
}

/** A value that the schema allows. @param name of the field or parameter */
export function valid(schema: Schema, name = ''): fc.Arbitrary<unknown> {
  const named = NAMED[name];
  if (named !== undefined) return named;
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((one) => valid(one)));
  if (schema.type === 'object') return object(schema);
  if (schema.type === 'array') {
    const { minItems = 0, maxItems = 4 } = schema;
    return fc.array(valid(schema.items ?? {}), { minLength: minItems, maxLength: Math.min(maxItems, 4) });
  }
  if (schema.type === 'string') return text(schema);
  if (schema.type === 'integer' || schema.type === 'number') return number(schema);
  if (schema.type === 'boolean') return fc.boolean();
  return fc.jsonValue({ maxDepth: 3 });
}

function object({ properties = {}, required = [] }: Schema): fc.Arbitrary<unknown> {
  // Metadata.
  if (Object.keys(properties).length === 0)
    return fc.dictionary(printable(10), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 4 });
  const fields = Object.fromEntries(Object.entries(properties).map(([name, schema]) => [name, valid(schema, name)]));
  const whole = fc.record(fields, { requiredKeys: required });
  return 'digest' in properties && 'size' in properties ? whole.map(withSize) : whole;
}

/** A digest and the size of its content belong together. */
function withSize(value: Record<string, unknown>): unknown {
  return value.digest instanceof Ref ? { ...value, size: new Ref('size', value.digest.nth) } : value;
}

function text({ format, minLength = 0, maxLength = 60 }: Schema): fc.Arbitrary<string> {
  if (format === 'date-time') return fc.constantFrom(...TIMES);
  return fc.oneof(
    { weight: 9, arbitrary: printable(Math.min(maxLength, 20)) },
    { weight: 1, arbitrary: fc.constant('x'.repeat(maxLength)).filter((long) => long.length >= minLength) },
  );
}

function number({ type, minimum, exclusiveMinimum, maximum = Number.MAX_SAFE_INTEGER }: Schema): fc.Arbitrary<number> {
  const least = minimum ?? exclusiveMinimum ?? 0;
  const most = Math.min(maximum, Number.MAX_SAFE_INTEGER);
  if (type === 'number') return fc.double({ min: least, max: most, minExcluded: minimum === undefined, noNaN: true });
  const some = [least, least + 1, 1_000, 2 ** 31 - 1, 2 ** 31, 2 ** 32, most - 1, most];
  return fc.constantFrom(...some.filter((each) => each >= least && each <= most));
}

/** Values that no field expects, and that some reader has stumbled over. */
export const HOSTILE: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  -0,
  1.5,
  1e-300,
  1e308,
  2 ** 31,
  2 ** 32,
  Number.MAX_SAFE_INTEGER,
  Number.MAX_SAFE_INTEGER + 1,
  2 ** 63,
  -(2 ** 63) - 1e4,
  '',
  ' ',
  '\t',
  '0',
  '-0',
  '+1',
  '1e3',
  '0x10',
  '١٢',
  'NaN',
  'Infinity',
  'null',
  'undefined',
  'true',
  'TRUE',
  '\u0000',
  'a\u0000b',
  'a\nb',
  'a\u0085b',
  '\ud800',
  'x\udfff',
  '\udfff\ud800',
  '\u202egpj.exe',
  'e\u0301',
  '\ufeffx',
  '\uffff',
  'ﬀ',
  '🏴󠁧󠁢󠁥󠁮󠁧󠁿',
  'x'.repeat(129),
  'x'.repeat(513),
  'é'.repeat(2_001),
  '😀'.repeat(1_500),
  'x'.repeat(20_000),
  '..',
  '../../etc/passwd',
  '/etc/passwd',
  'a//b',
  'a/./b',
  'a/',
  '%00',
  '%2e%2e%2f',
  '%',
  "' or '1'='1",
  '$(id)',
  '{{7*7}}',
  '__proto__',
  'constructor',
  'toString',
  'sha256:',
  `sha256:${'0'.repeat(64)}`,
  `SHA256:${'0'.repeat(64)}`,
  `sha256:${'A'.repeat(64)}`,
  `pkg_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`,
  `upl_${'f'.repeat(32)}`,
  '2026-02-30T00:00:00Z',
  '2026-01-01T24:00:00Z',
  '2026-01-01t00:00:00z',
  '+010000-01-01T00:00:00Z',
  '-000001-01-01T00:00:00Z',
  '2026-01-01T00:00:00',
  '2026-01-01',
  [],
  [[]],
  [null],
  {},
  { a: {} },
  Array(2_000).fill(0),
  JSON.parse(`${'['.repeat(40)}${']'.repeat(40)}`),
  JSON.parse('{"__proto__": {"admin": true}}'),
];

export const hostile = fc.constantFrom(...HOSTILE);
