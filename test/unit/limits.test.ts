import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parseRetryAfter } from '../../cli/client/api/problem.ts';
import { pauseBefore } from '../../cli/client/api/retry.ts';
import { ApiError } from '../../cli/errors.ts';
import { ConfigError } from '../../src/config.ts';
import { isStoreError } from '../../src/core/errors.ts';
import { clientNetwork } from '../../src/core/ip-address.ts';
import { assertWithinQuota, byteQuota, DEFAULT_QUOTAS, type Quotas } from '../../src/core/quotas.ts';
import { DEFAULT_ALL_LIMITS, DEFAULT_BY_NAME, LIMITS_FILE, parseLimits } from '../../src/limits-file.ts';

test('docs/limits.md has every limit of the file with its default, and no other', async (t) => {
  const text = await readFile(new URL('../../docs/limits.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `(\w+)` \| `([^`]+)` \|/gm)].map(([, name, value]) => [
    name,
    JSON.parse(value as string),
  ]);
  t.deepEqual(Object.fromEntries(rows), DEFAULT_BY_NAME);
  t.is(rows.length, Object.keys(LIMITS_FILE.shape).length, 'each once');
  const [, example = ''] = /```json\n(.*?)```/s.exec(text) ?? [];
  t.is(parseLimits(example, 'f').bounds.callerRequests, 500);
});

test('a file that names nothing changes nothing, and the defaults are values that a file may have', (t) => {
  t.deepEqual(parseLimits('{}', 'f'), DEFAULT_ALL_LIMITS);
  t.deepEqual(parseLimits(JSON.stringify(DEFAULT_BY_NAME), 'f'), DEFAULT_ALL_LIMITS);
});

test('each name of the file changes one limit', (t) => {
  const others: Record<string, unknown> = {
    bytes_per_package: 7,
    bytes_per_producer: 7,
    producers: { p: { bytes: 7 } },
  };
  for (const [name, value] of Object.entries(DEFAULT_BY_NAME)) {
    const other = others[name] ?? Number(value) - (name === 'json_in_flight_bytes' ? 1_024 : 1);
    const { limits, quotas, bounds } = parseLimits(JSON.stringify({ [name]: other }), 'f');
    const changed = [
      ...Object.entries(limits).filter(([key, is]) => is !== DEFAULT_ALL_LIMITS.limits[key as 'page_max']),
      ...Object.entries(quotas).filter(([key, is]) => is !== DEFAULT_ALL_LIMITS.quotas[key as 'open_packages']),
      ...Object.entries(bounds).filter(([key, is]) => is !== DEFAULT_ALL_LIMITS.bounds[key as 'connections']),
    ].filter(([key]) => key !== 'producers' || name === 'producers');
    t.is(changed.length, 1, `${name}: ${JSON.stringify(changed)}`);
    const [, is] = changed[0] ?? [];
    t.deepEqual(/_seconds$/.test(name) ? Number(is) / 1_000 : is, other, name);
  }
});

const BAD: Array<[string, string, RegExp]> = [
  ['no JSON', '{a: 1}', /is not JSON/],
  ['no object', '[]', /is wrong/],
  ['an unknown name', '{"request_per_second": 3}', /request_per_second/],
  ['a text', '{"connections": "many"}', /at connections/],
  ['less than works', '{"json_depth": 2}', /at json_depth/],
  ['null where something must be said', '{"files_per_package": null}', /at files_per_package/],
  ['more files than a manifest can have', '{"files_per_package": 5000001}', /at files_per_package/],
  ['a negative quota', '{"bytes_per_producer": -1}', /at bytes_per_producer/],
  ['a quota that is no object', '{"producers": {"p": 3}}', /at producers\.p/],
];
for (const [what, text, why] of BAD) {
  test(`limits with ${what} are refused, naming variable, file and place`, (t) => {
    const error = t.throws(() => parseLimits(text, '/etc/limits.json'), { instanceOf: ConfigError });
    t.regex(error.message, /^ARTIFACT_STORE_LIMITS: \/etc\/limits\.json /);
    t.regex(error.message, why);
  });
}

test('a quota refuses what does not fit, and never what gives back', (t) => {
  const quotas: Quotas = { ...DEFAULT_QUOTAS, bytes_per_producer: 100 };
  const refused = (used_bytes: number, reserved_bytes: number, bytes: number): boolean => {
    try {
      assertWithinQuota(quotas, { producer: 'p', used_bytes, reserved_bytes, open_packages: 1 }, bytes);
      return false;
    } catch (error) {
      t.true(isStoreError(error, 'quota_exceeded'));
      return true;
    }
  };
  t.false(refused(60, 40, 40));
  t.true(refused(60, 41, 1));
  t.false(refused(600, 300, -5), 'the quota was made smaller');
  t.true(refused(600, 300, 5));
});

test('a producer of its own has its own quota, whatever it is called', (t) => {
  const quotas: Quotas = {
    ...DEFAULT_QUOTAS,
    bytes_per_producer: 9,
    producers: { p: { bytes: null }, q: { bytes: 0 } },
  };
  t.deepEqual(
    ['p', 'q', 'r', 'constructor', '__proto__'].map((producer) => byteQuota(quotas, producer)),
    [null, 0, 9, 9, 9],
  );
});

test('whom an address stands for', (t) => {
  t.is(clientNetwork('192.0.2.7'), '192.0.2.7');
  t.is(clientNetwork('::ffff:192.0.2.7'), '192.0.2.7');
  t.is(clientNetwork('2001:db8:1:2:3:4:5:6'), clientNetwork('2001:db8:1:2:ffff::1'));
  t.not(clientNetwork('2001:db8:1:2::1'), clientNetwork('2001:db8:1:3::1'));
  t.not(clientNetwork('::1'), clientNetwork('127.0.0.1'));
  t.is(clientNetwork(''), '');
});

test('Retry-After is seconds or a date; anything else says nothing', (t) => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  t.is(parseRetryAfter('0', now), 0);
  t.is(parseRetryAfter('120', now), 120_000);
  t.is(parseRetryAfter('Thu, 01 Jan 2026 00:00:07 GMT', now), 7_000);
  t.is(parseRetryAfter('Wed, 31 Dec 2025 00:00:00 GMT', now), 0);
  for (const text of [undefined, '', '-1', '1.5', 'soon', '2026-01-01', '9'.repeat(30)])
    t.is(parseRetryAfter(text, now), null, text);
});

test('whoever is told when to come again does not come before, and waits for a minute at most', (t) => {
  const refused = (retryAfterMs: number | null): ApiError =>
    Object.assign(new ApiError('too_many_requests', 429, 'x'), { retryAfterMs });
  for (const random of [0, 0.5, 1]) {
    t.true((pauseBefore(1, random, refused(10_000)) ?? 0) >= 10_000);
    t.true((pauseBefore(1, random, refused(10_000)) ?? 0) <= 10_200);
    t.true((pauseBefore(1, random, refused(null)) ?? 0) <= 200);
    t.true((pauseBefore(8, random, refused(0)) ?? 0) >= 5_000, 'the usual pauses grow');
    t.true((pauseBefore(1, random, new Error('x')) ?? 0) <= 200);
  }
  t.is(pauseBefore(1, 0, refused(60_001)), null);
});
