import test from 'ava';
import fc from 'fast-check';
import { AUDIT_ACTIONS } from '../../src/core/audit-actions.ts';
import { binary, structured } from '../../src/core/cloud-event.ts';
import { mayReach, parseAllowedPlace, urlProblem } from '../../src/core/public-address.ts';
import { actionsOf, EVENT_TYPE_PATTERN, pauseAfter, unknownTypes } from '../../src/core/webhook.ts';
import { signatureHeaders, webhookSecret } from '../../src/core/webhook-signature.ts';

/** How a URL can name an address that is not public; what a name resolves to comes as the second of each pair. */
const CLOSED = [
  'https://127.0.0.1/',
  'https://127.1/',
  'https://2130706433/',
  'https://017700000001/',
  'https://0177.0.0.1/',
  'https://0x7f000001/',
  'https://0x7f.0.0.0x1/',
  'https://１２７.0.0.1/',
  'https://127。0。0。1/',
  'https://localhost/',
  'https://LOCALHOST./',
  'https://a.localhost/',
  'https://0/',
  'https://0.0.0.0/',
  'https://10.0.0.1/',
  'https://100.64.0.1/',
  'https://100.127.255.255/',
  'https://169.254.169.254/',
  'https://2852039166/',
  'https://172.16.0.1/',
  'https://172.31.255.255/',
  'https://192.0.0.1/',
  'https://192.168.0.1/',
  'https://198.18.0.1/',
  'https://224.0.0.1/',
  'https://240.0.0.1/',
  'https://255.255.255.255/',
  'https://[::]/',
  'https://[::1]/',
  'https://[0:0:0:0:0:0:0:1]/',
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::ffff:a9fe:a9fe]/',
  'https://[::127.0.0.1]/',
  'https://[64:ff9b::10.0.0.1]/',
  'https://[64:ff9b:1::1]/',
  'https://[2002:7f00:1::]/',
  'https://[2001:0:7f00:1::]/',
  'https://[2001:db8::1]/',
  'https://[100::1]/',
  'https://[fc00::1]/',
  'https://[fd12:3456::1]/',
  'https://[fe80::1]/',
  'https://[fec0::1]/',
  'https://[ff02::1]/',
];
const OPEN = [
  'https://example.com/',
  'https://8.8.8.8/',
  'https://100.63.255.255/',
  'https://172.32.0.1/',
  'https://[2606:4700::1111]/',
  'https://[::ffff:8.8.8.8]/',
];

test('no spelling of an address that is not public passes, and public ones do', (t) => {
  for (const text of CLOSED) t.regex(urlProblem(new URL(text), []) ?? '', /not public/, text);
  for (const text of OPEN) t.is(urlProblem(new URL(text), []), null, text);
  for (const address of ['', 'nonsense', 'fe80::1%eth0', '::ffff:10.0.0.1', '10.0.0.1', '127.0.0.1', '::1']) {
    t.false(mayReach('name.example', address, []), address);
  }
  t.true(mayReach('name.example', '93.184.215.14', []));
});

test('every address is public or not, whichever way it is written', (t) => {
  const octet = fc.integer({ min: 0, max: 255 });
  fc.assert(
    fc.property(fc.tuple(octet, octet, octet, octet), (bytes) => {
      const dotted = bytes.join('.');
      const [a, b, c, d] = bytes as [number, number, number, number];
      const number = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
      const hex = (value: number) => value.toString(16);
      const open = mayReach('x', dotted, []);
      t.is(mayReach('x', `::ffff:${dotted}`, []), open, dotted);
      for (const written of [`${number}`, `0x${hex(number)}`, `0${number.toString(8)}`, `[::ffff:${dotted}]`]) {
        t.is(urlProblem(new URL(`https://${written}/`), []) === null, open, written);
      }
    }),
  );
});

test('what the operator allows passes, also without TLS, and nothing else', (t) => {
  const allowed = ['10.0.0.0/8', 'hub.internal', '.lab.example', '::1', '*.corp'].map((text) => {
    const place = parseAllowedPlace(text);
    if (place === null) throw new Error(text);
    return place;
  });
  for (const url of [
    'http://10.1.2.3/',
    'http://hub.internal/',
    'http://a.lab.example:81/',
    'http://[::1]/',
    'http://x.corp/',
  ]) {
    t.is(urlProblem(new URL(url), allowed), null, url);
  }
  t.true(mayReach('hub.internal', '192.168.1.1', allowed));
  t.true(mayReach('other.internal', '10.9.9.9', allowed));
  t.false(mayReach('other.internal', '192.168.1.1', allowed));
  t.regex(urlProblem(new URL('http://lab.example/'), allowed) ?? '', /not https/);
  t.regex(urlProblem(new URL('https://127.0.0.1/'), allowed) ?? '', /not public/);
  for (const text of ['10.0.0.0/33', 'a b', 'http://x', 'x/y', '1.2.3', '-', ''])
    t.is(parseAllowedPlace(text), null, text);
});

test('pauses grow from seconds to twelve hours, for about two days, and then there is none', (t) => {
  let total = 0;
  let last = 0;
  for (let failures = 1; ; failures++) {
    const pause = pauseAfter(failures, 0.5);
    if (pause === null) {
      t.is(failures, 11);
      break;
    }
    t.true(pause >= last && pause <= 43_200_000);
    [total, last] = [total + pause, pause];
  }
  t.true(total > 36 * 3_600_000 && total < 60 * 3_600_000, `${total / 3_600_000} h`);
  t.is(pauseAfter(1, 0), 4_000);
  t.is(pauseAfter(1, 1), 6_000);
  t.is(pauseAfter(1, 0.5, 3_600), 3_600_000);
  t.is(pauseAfter(1, 0.5, 1e9), 43_200_000, 'nobody puts it off for ever');
});

test('types are actions and groups of them', (t) => {
  t.deepEqual(actionsOf(['hold.*']), ['hold.placed', 'hold.released']);
  t.deepEqual(actionsOf(['package.finalized', 'key.rotated', 'key.*']), ['package.finalized', 'key.rotated']);
  t.deepEqual(unknownTypes(['hold.*', 'hold.broken', 'x.*']), ['hold.broken', 'x.*']);
  for (const action of AUDIT_ACTIONS) t.regex(action, EVENT_TYPE_PATTERN);
});

test("a signature is that of Standard Webhooks' own example", (t) => {
  const headers = signatureHeaders('msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330, Buffer.from('{"test": 2432232314}'), [
    'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  ]);
  t.deepEqual(headers, {
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
  const key = Buffer.alloc(32, 7);
  const secrets = [webhookSecret(key, 'a', 1), webhookSecret(key, 'a', 2), webhookSecret(key, 'b', 1)];
  t.is(new Set(secrets).size, 3);
});

test('CloudEvents: the whole in the body, or the data alone with attributes in headers', (t) => {
  const event = { id: 'evt_1', source: 'artifact-store/x', type: 't', subject: null, time: '2026-11-28T00:00:00Z' };
  const { headers, body } = structured({ ...event, data: { a: 'ü' } });
  t.is(headers['content-type'], 'application/cloudevents+json; charset=utf-8');
  const { subject: _, ...attributes } = event;
  t.deepEqual(JSON.parse(body.toString()), {
    specversion: '1.0',
    ...attributes,
    datacontenttype: 'application/json',
    data: { a: 'ü' },
  });
  const plain = binary({ ...event, subject: 'Euro € "50%" 😀', data: { a: 1 } });
  t.is(plain.headers['ce-subject'], 'Euro%20%E2%82%AC%20%2250%25%22%20%F0%9F%98%80', "the specification's example");
  t.is(plain.body.toString(), '{"a":1}');
});
