import { get } from 'node:http';
import { type Api, sha256 } from './api.ts';

/** What came of an archive. */
export interface Come {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  bytes: Buffer;
  /** It ended as it should. */
  whole: boolean;
}

/** Reads as curl does, and takes what came before an answer broke off. */
export function download(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Come> {
  return new Promise((resolve, reject) => {
    get(url, { agent: false, headers, method }, (answer) => {
      const pieces: Buffer[] = [];
      answer.on('data', (piece: Buffer) => pieces.push(piece));
      answer.on('error', () => {});
      answer.on('close', () => {
        const { statusCode: status = 0, complete: whole } = answer;
        resolve({ status, headers: answer.headers, bytes: Buffer.concat(pieces), whole });
      });
    }).on('error', reject);
  });
}

const LARGE = Buffer.alloc(3 * 1024 ** 2, 'a large file ');
/** Of the files below `a/`. */
export const MTIME = '2024-02-29T12:34:56.789Z';
/** Names that a Linux folder can hold. */
export const ARCHIVED: Record<string, Buffer> = {
  '-leading dash': Buffer.from('1'),
  'a/b/c.txt': Buffer.from('two'),
  'a/empty': Buffer.alloc(0),
  'a/same as c': Buffer.from('two'),
  'large.bin': LARGE,
  'logs/grüße/日本語 😀.log': Buffer.from('Zeile\n'),
  [`${'long/'.repeat(60)}${'n'.repeat(200)}`]: Buffer.from('a path that plain tar cannot name'),
  'tools/run.sh': Buffer.from('#!/bin/sh\n'),
};
/** A finalized package of these files: some have a time, scripts are executable. @returns its id */
export async function preserved(api: Api, files = ARCHIVED, fields = {}): Promise<string> {
  const id = await api.create(fields);
  const list = Object.entries(files).map(([path, bytes]) => ({
    path,
    digest: sha256(bytes),
    size: bytes.length,
    ...(path.endsWith('.sh') ? { executable: true } : {}),
    ...(path.startsWith('a/') ? { mtime: MTIME } : {}),
  }));
  await api.store(id, files);
  await api.post(`/v1/packages/${id}/files`, { files: list });
  const { status, body } = await api.post(`/v1/packages/${id}/finalize`);
  if (status !== 200) throw new Error(JSON.stringify(body));
  return id;
}

export function archiveUrl(url: string, id: string, query = ''): string {
  return `${url}/v1/packages/${id}/archive${query && `?${query}`}`;
}
