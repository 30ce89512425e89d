import { request } from 'node:http';
import type { ExecutionContext } from 'ava';
import type { PlannedUpload } from '../../src/api/types.ts';
import { digestOf } from '../../src/core/digest.ts';
import type { PackageId } from '../../src/core/ids.ts';
import { SCOPES } from '../../src/core/scopes.ts';
import { type PlannedDownload, planDownloads } from '../../src/usecases/plan-downloads.ts';
import type { Caller } from '../../src/usecases/services.ts';
import { type Api, apiOf } from '../support/api.ts';
import { packOf } from '../support/pack.ts';
import type { TestService } from '../support/service.ts';

/**
 * Signed URLs that the service itself serves: what they allow is what was signed, and every header can only make it less
 * (invariant 7).
 */
export const TEXTS = ['first', 'secret', 'last'];
/** What lies in the pack beside that nobody may see who may see a range. */
const SECRET = 'secret';

export interface SharedPack {
  digest: string;
  size: number;
  bytes: Buffer;
  /** The package of who may read all of it. */
  whole: PackageId;
  /** What is signed for who has the first and the last file alone: a range each. */
  ranges: PlannedDownload[];
}

async function packageOf(api: Api, producer: string, texts: string[]): Promise<PackageId> {
  const id = await api.create({ producer });
  const files = texts.map((text) => ({ path: text, digest: digestOf(text), size: Buffer.byteLength(text) }));
  await api.post(`/v1/packages/${id}/files`, { files });
  return id as PackageId;
}

/** A pack of two owners, of whom one may read two of its three files. */
export async function sharePack(service: TestService): Promise<SharedPack> {
  const api = apiOf(service.url);
  const alice = await packageOf(api, 'alice', TEXTS);
  const { bytes, digest, size, members } = packOf(TEXTS);
  const planned = await api.post(`/v1/packages/${alice}/uploads`, { objects: [{ digest, size, members }] });
  const [upload] = planned.body.uploads as [PlannedUpload];
  await api.send(upload.parts[0] as never, bytes);
  await api.post(`/v1/uploads/${upload.upload_id}/commit`);
  const theirs = await packageOf(api, 'mallory', ['first', 'last']);
  const mallory: Caller = { actor: 'mallory', reads: { producers: ['mallory'] }, scopes: SCOPES };
  const { downloads } = await planDownloads(service.services, mallory, theirs, { after: null, limit: 100 });
  return { digest, size, bytes, whole: alice, ranges: downloads };
}

interface Seen {
  status: number;
  headers: Record<string, string>;
  body: Buffer;
}

function ask(url: string, method: string, headers: Record<string, string>): Promise<Seen> {
  return new Promise((resolve, reject) => {
    const asking = request(url, { method, headers }, async (answer) => {
      const pieces: Buffer[] = [];
      for await (const piece of answer) pieces.push(piece as Buffer);
      const told = Object.entries(answer.headers).map(([name, value]) => [name, String(value)]);
      resolve({ status: answer.statusCode ?? 0, headers: Object.fromEntries(told), body: Buffer.concat(pieces) });
    });
    asking.once('error', reject).end();
  });
}

const OLD = 'Thu, 01 Jan 1970 00:00:01 GMT';
const COMING = 'Fri, 01 Jan 2100 00:00:00 GMT';

/** Every conditional header with what may stand in it; `etag` is the object's own. */
function conditions(etag: string): Array<Record<string, string>> {
  const tags = ['"x"', 'W/"x"', etag, `W/${etag}`, '*', `"x", ${etag}`, '"x", *', '', 'x'];
  return [
    {},
    ...[...tags, OLD, COMING].map((tag) => ({ 'if-range': tag })),
    ...tags.map((tag) => ({ 'if-match': tag })),
    ...tags.map((tag) => ({ 'if-none-match': tag })),
    ...[OLD, COMING].map((time) => ({ 'if-modified-since': time })),
    ...[OLD, COMING].map((time) => ({ 'if-unmodified-since': time })),
    { 'if-range': '"x"', 'if-match': '*' },
    { 'if-range': '"x"', 'if-none-match': '"y"' },
    { 'if-range': '"x"', 'if-match': etag, 'if-none-match': '"y"' },
  ];
}

/** A URL that was signed for a range gives exactly that, and tells nothing of the rest. */
export async function attackSignedRanges(t: ExecutionContext, pack: SharedPack): Promise<void> {
  const etag = `"${pack.digest}"`;
  const hex = pack.digest.slice('sha256:'.length);
  const telling = [hex, Buffer.from(hex, 'hex').toString('base64'), String(pack.size)];
  let given = 0;
  for (const { request: signed, entries, size } of pack.ranges) {
    const { url = '', headers = {} } = signed ?? {};
    const own = headers.range as string;
    const expected = entries[0]?.path as string;
    const ranges = [
      own,
      undefined,
      'bytes=0-',
      'bytes=0-99999',
      `bytes=-${pack.size}`,
      `${own},0-1`,
      `${own}0`,
      'lines=1-2',
    ];
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE']) {
      for (const range of ranges) {
        for (const condition of conditions(etag)) {
          const sent = { ...(range === undefined ? {} : { range }), ...condition };
          const { status, headers: told, body } = await ask(url, method, sent);
          const what = `${method} ${JSON.stringify(sent)}: ${status}`;
          const isOwn = method === 'GET' && range === own;
          t.true((isOwn ? [206, 304, 412] : [403, 405]).includes(status), what);
          if (status === 206) {
            given += 1;
            t.is(body.toString(), expected, what);
            t.is(told['content-length'], String(size), what);
            t.is(told['content-range'], `${own.replace('=', ' ')}/*`, what);
          } else t.false(body.includes(expected) || body.includes(SECRET), what);
          t.deepEqual([told.etag, told['repr-digest'], told['last-modified']], [undefined, undefined, undefined], what);
          // An id may hold any digits.
          const text = (JSON.stringify(told) + body.toString()).replaceAll(told['x-request-id'] ?? '', '');
          for (const secret of telling) t.false(text.includes(secret), `${what} tells ${secret}`);
        }
      }
    }
  }
  t.true(given > 30, `${given} ranges were given`);
}

/** A URL of the whole, or of a file: any range may be had, and each answer is what it says it is. */
export async function tryUnsignedRanges(t: ExecutionContext, url: string, whole: Buffer): Promise<void> {
  const etag = `"${digestOf(whole)}"`;
  const statuses = new Set<number>();
  for (const method of ['GET', 'HEAD']) {
    for (const range of [
      undefined,
      'bytes=0-',
      'bytes=1-2',
      'bytes=-2',
      `bytes=0-${whole.length - 1}`,
      'bytes=999999-',
      'lines=1-2',
    ]) {
      for (const condition of conditions(etag)) {
        const sent = { ...(range === undefined ? {} : { range }), ...condition };
        const { status, headers, body } = await ask(url, method, sent);
        const what = `${method} ${JSON.stringify(sent)}: ${status}`;
        statuses.add(status);
        const [, from, to] = /^bytes (\d+)-(\d+)\/\d+$/.exec(headers['content-range'] ?? '') ?? [];
        const expected = status === 206 ? whole.subarray(Number(from), Number(to) + 1) : whole;
        if (status === 206) t.is(headers['content-range']?.split('/')[1], String(whole.length), what);
        if (status === 200 || status === 206) {
          t.is(headers.etag, etag, what);
          t.is(headers['content-length'], String(expected.length), what);
          t.deepEqual(body, method === 'HEAD' ? Buffer.alloc(0) : expected, what);
        } else t.true([304, 412, 416].includes(status), what);
        if (range === undefined || method === 'HEAD') t.not(status, 206, what);
      }
    }
  }
  t.deepEqual([...statuses].toSorted(), [200, 206, 304, 412, 416]);
}
