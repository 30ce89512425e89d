import { createSocket } from 'node:dgram';
import { promises } from 'node:dns';
import { once } from 'node:events';
import test, { type ExecutionContext } from 'ava';
import { type HostLookup, hostLookup } from '../../src/host-lookup.ts';

const HEADER = 12;
const [ANSWER, NOT_FOUND, TYPE_A] = [0x8180, 0x8183, 1];

/** A name server that has `open.example` alone, and says nothing of what ends with `.silent.example`. */
async function nameServer(t: ExecutionContext): Promise<{ resolver: promises.Resolver; silent: Promise<void> }> {
  const socket = createSocket('udp4');
  const { promise: silent, resolve: asked } = Promise.withResolvers<void>();
  socket.on('message', (query, { port, address }) => {
    const end = query.indexOf(0, HEADER) + 5;
    const name = query.subarray(HEADER, end).toString('latin1');
    if (name.includes('silent')) return asked();
    const has = name.includes('open') && query.readUInt16BE(end - 4) === TYPE_A;
    const answer = Buffer.from(query.subarray(0, end));
    answer.writeUInt16BE(name.includes('open') ? ANSWER : NOT_FOUND, 2);
    answer.writeUInt16BE(has ? 1 : 0, 6);
    answer.fill(0, 8, HEADER);
    const record = Buffer.from([0xc0, HEADER, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, 203, 0, 113, 7]);
    socket.send(has ? Buffer.concat([answer, record]) : answer, port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const resolver = new promises.Resolver({ timeout: 60_000, tries: 1 });
  resolver.setServers([`127.0.0.1:${socket.address().port}`]);
  t.teardown(() => {
    resolver.cancel();
    socket.close();
  });
  return { resolver, silent };
}

const found = (lookup: HostLookup, host: string) =>
  new Promise((resolve) => {
    lookup(host, { all: true }, (error, addresses) => resolve(error?.code ?? addresses));
  });

test('a name server that does not answer takes no thread of the system, and holds up no other name', async (t) => {
  const { resolver, silent } = await nameServer(t);
  const lookup = hostLookup(resolver, (host) => t.fail(host));
  for (let index = 0; index < 50; index += 1) lookup(`${index}.silent.example`, { all: true }, () => {});
  await silent;
  t.deepEqual(await found(lookup, 'open.example'), [{ address: '203.0.113.7', family: 4 }]);
});

test('what DNS does not have the system is asked for, one name at a time, and each once', async (t) => {
  const { resolver } = await nameServer(t);
  const asked: string[] = [];
  const answers: Array<() => void> = [];
  const { promise: begun, resolve: begins } = Promise.withResolvers<void>();
  const lookup = hostLookup(resolver, (host, _, done) => {
    asked.push(host);
    answers.push(() => done(null, [{ address: '10.0.0.1', family: 4 }]));
    begins();
    // The second one at once: it was asked for when the first had ended.
    if (asked.length > 1) answers.at(-1)?.();
  });
  const one = [found(lookup, 'one.inside'), found(lookup, 'one.inside')];
  await begun;
  const more = [found(lookup, 'one.inside'), found(lookup, 'two.inside')];
  await t.notThrowsAsync(resolver.resolve4('open.example'));
  t.deepEqual(asked, ['one.inside']);
  answers[0]?.();
  await Promise.all([...one, ...more]);
  t.deepEqual(asked.slice(0, 2).toSorted(), ['one.inside', 'two.inside']);
});

test('what a name server refuses is told', async (t) => {
  const { resolver } = await nameServer(t);
  const refused = { resolve4: resolver.resolve4.bind(resolver), resolve6: async () => Promise.reject(refusal) };
  const refusal = Object.assign(new Error('refused'), { code: 'EREFUSED' });
  t.is(
    await found(
      hostLookup(refused, (host) => t.fail(host)),
      'nothing.example',
    ),
    'EREFUSED',
  );
});
