import test from 'ava';
import fc from 'fast-check';
import { type ArchiveFormat, type ArchiveMember, ArchivePlanner, planArchive } from '../../src/core/archive.ts';
import { type ArchiveJob, archiveBytes } from '../../src/core/archive-bytes.ts';
import { CrcTable } from '../../src/core/crc-table.ts';
import { digestOf } from '../../src/core/digest.ts';
import { TAR_ARCHIVE } from '../../src/core/tar-archive.ts';
import { ZIP_ARCHIVE } from '../../src/core/zip-archive.ts';

const FORMATS: Record<string, ArchiveFormat> = { tar: TAR_ARCHIVE, zip: ZIP_ARCHIVE };

const NAME = fc.array(fc.string({ minLength: 1, maxLength: 40, unit: fc.constantFrom('a', 'é', '日', '😀') }), {
  minLength: 1,
  maxLength: 6,
});
/** What tar and zip say in one way, and in others. */
const TIME = fc.oneof(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.integer({ min: -1e11, max: 2e11 }));
const MEMBER = fc.record({
  path: NAME.map((segments) => segments.join('/')),
  executable: fc.boolean(),
  modifiedAt: TIME,
  content: fc.uint8Array({ maxLength: 1_500 }),
});

interface Content extends ArchiveMember {
  content: Uint8Array;
}

function memberOf({
  content,
  ...rest
}: {
  path: string;
  executable: boolean;
  modifiedAt: number;
  content: Uint8Array;
}) {
  const digest = digestOf(content);
  return { ...rest, content, size: content.length, digest, source: { make: () => [content] } } satisfies Content;
}

async function jobOf(format: ArchiveFormat, members: Content[], chunk: number): Promise<ArchiveJob> {
  async function* pages() {
    for (let at = 0; at < members.length; at += 2) yield members.slice(at, at + 2);
  }
  async function* read(wanted: readonly ArchiveMember[]) {
    for (const { content } of wanted as Content[])
      for (let at = 0; at < content.length; at += chunk) yield content.subarray(at, at + chunk);
  }
  return { format, plan: await planArchive(format, pages), pages, read, crcs: new CrcTable(members.length) };
}

async function bytesOf(job: ArchiveJob, range = { offset: 0, size: job.plan.size }): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of archiveBytes(job, range)) pieces.push(piece);
  return Buffer.concat(pieces);
}

for (const [name, format] of Object.entries(FORMATS)) {
  test(`${name}: any range of any archive is that slice of the whole, whatever was read before, and the plan knows its length`, async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(MEMBER, { maxLength: 7 }),
        fc.integer({ min: 1, max: 700 }),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), {
          minLength: 1,
          maxLength: 4,
        }),
        async (described, chunk, ranges) => {
          const members = described.map(memberOf);
          const whole = await bytesOf(await jobOf(format, members, chunk));
          // One table for all ranges: what one of them learns another one uses.
          const job = await jobOf(format, members, chunk);
          t.is(whole.length, job.plan.size);
          for (const [from, length] of ranges) {
            const offset = Math.floor(from * (whole.length - 1));
            const size = 1 + Math.floor(length * (whole.length - offset - 1));
            t.deepEqual(await bytesOf(job, { offset, size }), whole.subarray(offset, offset + size));
          }
        },
      ),
    );
  });

  test(`${name}: sizes are those of the bytes, however large a member is, and wherever it stands`, (t) => {
    const edges = [0, 1, 0xffff_fffe, 0xffff_ffff, 0x1_0000_0000, 8 ** 11 - 1, 8 ** 11, 2 ** 45];
    const number = fc.oneof(fc.constantFrom(...edges), fc.integer({ min: 0, max: 2 ** 45 }));
    fc.assert(
      fc.property(MEMBER, number, number, number, (described, size, offset, members) => {
        const member = { ...memberOf(described), size };
        t.is(format.header(member).length, format.headerSize(member));
        t.is(format.trailer(member, 0xffff_ffff).length, format.trailerSize(member));
        t.is(format.entry(member, offset, 0xffff_ffff).length, format.entrySize(member, offset));
        const totals = { members, entriesAt: offset, endAt: offset + size };
        t.is(format.end(totals).length, format.endSize(totals));
      }),
    );
  });
}

test('a range reads only the members that it needs', async (t) => {
  const members = ['a', 'b', 'c', 'd'].map((path) =>
    memberOf({ path, executable: false, modifiedAt: 0, content: Buffer.alloc(600, path) }),
  );
  const job = await jobOf(ZIP_ARCHIVE, members, 100);
  const reads: string[] = [];
  const counted = {
    ...job,
    read: (wanted: readonly ArchiveMember[]) => {
      reads.push(...wanted.map(({ path }) => path));
      return job.read(wanted);
    },
  };
  const { plan } = job;
  await bytesOf(counted, { offset: plan.endAt, size: plan.size - plan.endAt });
  t.deepEqual(reads, [], 'the end needs none');
  const planner = new ArchivePlanner(ZIP_ARCHIVE);
  const [, second = 0, third = 0] = members.map((member) => planner.add(member));
  await bytesOf(counted, { offset: second + 50, size: third - second - 50 });
  t.deepEqual(reads.splice(0), ['b']);
  await bytesOf(counted, { offset: plan.entriesAt, size: 1 });
  t.deepEqual(reads.splice(0), ['a'], 'an entry needs the CRC-32 of its member');
  await bytesOf(counted, { offset: plan.entriesAt, size: plan.endAt - plan.entriesAt });
  t.deepEqual(reads.splice(0), ['c', 'd'], 'what is known is not read again');
});

test('of 65,535 members, and of more than 4 GiB, zip says so in 64 bits, and nowhere else', (t) => {
  const member = memberOf({ path: 'm', executable: false, modifiedAt: 0, content: Buffer.alloc(1) });
  const END64 = Buffer.from('PK\x06\x06', 'latin1');
  const planOf = (count: number, size: number) => {
    const planner = new ArchivePlanner(ZIP_ARCHIVE);
    for (let nth = 0; nth < count; nth += 1) planner.add({ ...member, size });
    return planner.end();
  };
  const is64 = (plan: ReturnType<typeof planOf>) => ZIP_ARCHIVE.end(plan).includes(END64);
  t.false(is64(planOf(65_534, 1)));
  const many = planOf(65_535, 1);
  t.true(is64(many));
  const end = ZIP_ARCHIVE.end(many);
  t.is(end.readBigUInt64LE(32), 65_535n);
  t.is(end.readUInt16LE(end.length - 12), 0xffff);
  const large = planOf(2, 5 * 1024 ** 3);
  t.true(is64(large));
  t.is(ZIP_ARCHIVE.end(large).readBigUInt64LE(48), BigInt(large.entriesAt));
  t.true(large.entriesAt > 10 * 1024 ** 3);
  const huge = { ...member, size: 5 * 1024 ** 3 };
  t.is(ZIP_ARCHIVE.header(huge).readUInt32LE(18), 0xffff_ffff);
  t.is(ZIP_ARCHIVE.trailer(huge, 1).readBigUInt64LE(8), 5n * 1024n ** 3n);
});
