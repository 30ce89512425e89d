import test from 'ava';
import { openCheckThread } from '../../src/blobs/check-thread.ts';
import { ByteRate, parseByteRate } from '../../src/core/byte-rate.ts';
import { type Digest, digestOf } from '../../src/core/digest.ts';
import { checkReach, leaseFor, turnBefore } from '../../src/core/fixity-turns.ts';
import { isSound, ObjectSurvey, type SurveyFindings, type SurveyPlan } from '../../src/core/object-survey.ts';
import { flipBit } from '../support/fixity.ts';
import { framedBlob, framedPack } from '../support/frames.ts';
import { sampled, usualOrLong } from '../support/long.ts';
import { packOf } from '../support/pack.ts';

interface Case {
  bytes: Buffer;
  plan: SurveyPlan;
}

const CONTENTS = ['a'.repeat(700), 'b', 'c d e f '.repeat(40)];

const CASES: Record<string, () => Case> = {
  'a loose blob'() {
    const bytes = Buffer.from('something '.repeat(30));
    const digest = digestOf(bytes);
    return { bytes, plan: planOf(digest, bytes.length, [{ digest, offset: 0, size: bytes.length }]) };
  },
  'a manifest'() {
    const bytes = Buffer.from('{"schema": "artifact-store/manifest/v1"}');
    return { bytes, plan: planOf(digestOf(bytes), bytes.length, []) };
  },
  'a pack'() {
    const { bytes, digest, size, members } = packOf(CONTENTS);
    return { bytes, plan: planOf(digest, size, members) };
  },
  'a blob in frames'() {
    const content = Buffer.from('something in frames '.repeat(30));
    const digest = digestOf(content);
    return framed(
      framedBlob(content, 200),
      planOf(digest, content.length, [{ digest, offset: 0, size: content.length }]),
    );
  },
  'a pack in frames'() {
    const object = framedPack(CONTENTS, [1, 2]);
    return framed(object, planOf(digestOf(object.content), object.content.length, object.members));
  },
};

function planOf(digest: Digest, size: number, places: SurveyPlan['places']): SurveyPlan {
  return { digest, size, places, stored: null };
}

function framed({ bytes, plan: { frames } }: ReturnType<typeof framedPack>, plan: SurveyPlan): Case {
  return { bytes, plan: { ...plan, stored: { frames: Buffer.from(frames, 'base64'), digest: digestOf(bytes) } } };
}

function survey({ plan }: Case, bytes: Buffer, piece: number): SurveyFindings {
  const each = new ObjectSurvey(plan);
  for (let at = 0; at < bytes.length; at += piece) each.write(bytes.subarray(at, at + piece));
  return each.end();
}

for (const [kind, make] of Object.entries(CASES)) {
  const each = make();
  const { bytes, plan } = each;
  const inPlace = (at: number): Digest | undefined =>
    plan.places.find(({ offset, size }) => at >= offset && at < offset + size)?.digest;

  test(`${kind} is sound, whatever pieces it comes in`, async (t) => {
    for (const piece of [1, 7, 512, bytes.length]) t.true(isSound(survey(each, bytes, piece)), `${piece}`);
    const thread = openCheckThread();
    t.teardown(() => thread.close());
    const stream = async function* () {
      for (let at = 0; at < bytes.length; at += 100) yield bytes.subarray(at, at + 100);
    };
    t.deepEqual(await thread.survey(stream(), plan), survey(each, bytes, 100));
  });

  test(`every bit that is flipped in ${kind} is found, in its place`, (t) => {
    for (const at of sampled([...bytes.keys()])) {
      const bit = usualOrLong([at % 8], [0, 1, 2, 3, 4, 5, 6, 7]);
      for (const flip of bit) {
        const found = survey(each, flipBit(Buffer.from(bytes), at * 8 + flip), 300);
        if (isSound(found)) return t.fail(`byte ${at}, bit ${flip}`);
        if (plan.stored !== null) continue;
        const expected = inPlace(at);
        const named = found.bad.map(({ digest }) => digest);
        if (named.join() !== (expected ?? '')) return t.fail(`byte ${at}: ${named.join()}`);
      }
    }
    t.pass();
  });

  test(`${kind} that is cut anywhere, or goes on, is found`, (t) => {
    for (const size of sampled([...bytes.keys()]))
      t.false(isSound(survey(each, bytes.subarray(0, size), 300)), `${size}`);
    t.false(isSound(survey(each, Buffer.concat([bytes, Buffer.alloc(1)]), 300)));
  });
}

test('of a pack in frames only the members of a bad frame are bad', (t) => {
  const each = (CASES['a pack in frames'] as () => Case)();
  const [first, ...others] = each.plan.places.map(({ digest }) => digest);
  t.deepEqual(survey(each, flipBit(Buffer.from(each.bytes), 30 * 8), 300).bad, [{ digest: first, actual: null }]);
  const { length } = each.bytes;
  const seekTable = survey(each, flipBit(Buffer.from(each.bytes), (length - 10) * 8), 300);
  t.like(seekTable, { bad: [], around: 'has a seek table that does not match its frames' });
  t.is(others.length, 2);
});

test('content that is not what it must be is found, however right the stored bytes are', (t) => {
  const each = (CASES['a pack in frames'] as () => Case)();
  const found = survey({ ...each, plan: { ...each.plan, digest: digestOf('another') } }, each.bytes, 300);
  t.regex(found.around ?? '', /^has the digest sha256:\w+, not /);
  const plan = {
    ...each.plan,
    stored: { frames: each.plan.stored?.frames as Uint8Array, digest: digestOf('another') },
  };
  t.regex(survey({ ...each, plan }, each.bytes, 300).around ?? '', /^has stored bytes with the digest /);
});

test('a frame that no frame can be is not held in memory', (t) => {
  const each = (CASES['a pack in frames'] as () => Case)();
  const frames = Buffer.from(each.plan.stored?.frames as Uint8Array);
  frames.writeUInt32LE(0xffffffff, 0);
  const found = survey({ ...each, plan: { ...each.plan, stored: { frames, digest: null } } }, each.bytes, 300);
  t.is(found.bad.length, 3);
});

test('a rate is kept to, and a part of it while others work; what was not used is not saved up', (t) => {
  const rate = new ByteRate(1_000);
  t.is(rate.take(500, 0), 500);
  t.is(rate.take(500, 100), 900);
  t.is(rate.take(100, 5_000), 100);
  t.is(rate.take(100, 5_100, 0.1), 1_000);
  for (const [text, bytes] of [
    ['500kB/s', 500_000],
    ['20MB/s', 20_000_000],
    ['1GB/s', 1_000_000_000],
    ['7B/s', 7],
    ['0MB/s', null],
    ['20', null],
    ['20MB', null],
    ['20mb/s', null],
  ] as const)
    t.is(parseByteRate(text), bytes, text);
});

test('turns come before the period is over; what is taken is overdue all the same', (t) => {
  const day = 86_400_000;
  t.is(turnBefore(40 * day, 100 * day), 70 * day);
  t.true(turnBefore(null, 60 * 365 * day) < 0, 'off');
  const now = 100 * day;
  for (const bytes of [0, 1e9, 1e15]) {
    const lease = leaseFor(bytes, 20e6);
    t.true(lease >= 600_000 && lease <= 7 * day);
    t.true(turnBefore(40 * day, now) + lease <= checkReach(40 * day, now));
  }
});
