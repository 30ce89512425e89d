import type { ScriptedAnswer, ScriptedRequest } from './scripted-s3.ts';

/** What a bucket answers of whose store it is, while it has nothing else; null: of something else. */
export function markAnswers(): (request: ScriptedRequest) => ScriptedAnswer | null {
  let mark: string | null = null;
  return ({ method, url, body }) => {
    const { pathname, searchParams } = new URL(url, 'http://here');
    if (method === 'GET' && searchParams.get('list-type') === '2') {
      return { status: 200, body: '<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>' };
    }
    if (method === 'HEAD' && /^\/[^/]*\/?$/.test(pathname)) return { status: 200 };
    if (!pathname.endsWith('/store.json')) return null;
    if (method === 'PUT') mark = body;
    else if (mark === null) return { status: 404, body: '<Error><Code>NoSuchKey</Code></Error>' };
    const headers = { etag: '"m"', ...(method === 'PUT' ? {} : { 'content-length': String(mark.length) }) };
    return { status: 200, headers, body: method === 'GET' ? mark : '' };
  };
}
