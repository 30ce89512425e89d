import { type ScriptedS3, startScriptedS3 } from './scripted-s3.ts';
import { markAnswers } from './store-mark.ts';

/**
 * An S3 server that takes whatever it is sent and says that all is well: what no real one can be made to be.
 * @param change a clock that is ahead or behind, in ms
 */
export function startLyingS3({ clockSkewMs = 0 } = {}): Promise<ScriptedS3> {
  const sent = new Map<string, Set<number>>();
  const mark = markAnswers();
  return startScriptedS3((request) => {
    const { method, url, operation } = request;
    const { pathname, searchParams } = new URL(url, 'http://here');
    const headers = { date: new Date(Date.now() + clockSkewMs).toUTCString() };
    const marked = mark(request);
    if (marked !== null) return { ...marked, headers: { ...marked.headers, ...headers } };
    const parts = sent.get(pathname) ?? new Set();
    if (searchParams.has('uploads')) {
      return {
        status: 200,
        headers,
        body: '<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>',
      };
    }
    if (operation === 'list_parts') {
      const listed = [...parts].map(
        (n) => `<Part><PartNumber>${n}</PartNumber><ETag>"e"</ETag><Size>1000</Size></Part>`,
      );
      return { status: 200, headers, body: `<ListPartsResult>${listed.join('')}</ListPartsResult>` };
    }
    if (operation === 'complete') {
      const key = pathname.split('/').slice(2).join('/');
      const body = `<CompleteMultipartUploadResult><Key>${key}</Key></CompleteMultipartUploadResult>`;
      return { status: 200, headers, body };
    }
    if (method === 'PUT' && searchParams.has('partNumber')) {
      sent.set(pathname, parts.add(Number(searchParams.get('partNumber'))));
    }
    return { status: method === 'DELETE' ? 204 : 200, headers: { ...headers, etag: '"e"' } };
  });
}
