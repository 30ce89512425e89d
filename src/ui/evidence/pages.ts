import type { Context } from 'koa';
import { evidenceKind } from '../../core/evidence-kind.ts';
import { parsePackageId } from '../../core/ids.ts';
import { parseLogicalPath } from '../../core/logical-path.ts';
import { inertHeaders, serveBytes } from '../../http/bytes.ts';
import { readPackage } from '../../usecases/access.ts';
import { openEvidence, signEvidence } from '../../usecases/open-evidence.ts';
import { readFile } from '../../usecases/read-file.ts';
import { html } from '../html.ts';
import { page, type UiRoute } from '../page.ts';
import { packageAddress } from '../words.ts';
import { evidenceHeaders, SHARED_HEADERS } from './headers.ts';
import { evidenceLinks } from './links.ts';
import { sharedFile, sharedRoot } from './shared.ts';
import { EVIDENCE_CSS } from './styles.ts';
import { viewFile } from './view-file.ts';
import { viewQuery } from './view-query.ts';

/** What of `/ui` shows files: pages of them, pages that a link shows, and the files themselves, shut off. */
export const evidencePages: readonly UiRoute[] = [
  page({
    path: '/ui/packages/{id}/files/{path}',
    id: 'showFile',
    async handle(services, { params, caller }, ctx) {
      const packageId = parsePackageId(params.id as string);
      const path = parseLogicalPath(params.path as string);
      const readable = await readFile(services, caller, packageId, path);
      const pkg = await readPackage(services.registry.read, caller, packageId);
      const base = packageAddress(packageId);
      const links = evidenceLinks(base, `${base}/files/`, await signEvidence(services, packageId, null));
      const body = await viewFile({ pkg, readable, links, query: viewQuery(queryOf(ctx)) });
      return {
        title: path,
        section: 'packages',
        trail: [{ text: pkg.name, href: base }],
        body: html`<h1>${path}</h1>${body}`,
      };
    },
  }),

  page({
    path: '/ui/shared/{token}',
    id: 'showShared',
    async handle(services, { params }, ctx) {
      ctx.set(SHARED_HEADERS);
      return sharedRoot(services, params.token as string, queryOf(ctx));
    },
  }),

  page({
    path: '/ui/shared/{token}/files/{path}',
    id: 'showSharedFile',
    async handle(services, { params }, ctx) {
      ctx.set(SHARED_HEADERS);
      return sharedFile(services, params.token as string, parseLogicalPath(params.path as string), queryOf(ctx));
    },
  }),

  page({
    path: '/ui/evidence/{token}/{path}',
    id: 'getEvidence',
    async handle(services, { params }, ctx) {
      // Before anything can go wrong: no answer from here is anybody.
      ctx.set(evidenceHeaders('none', ctx.host, ''));
      const { token = '', path: asked = '' } = params;
      // As servers of pages do: a report links to its folders.
      const path = parseLogicalPath(asked === '' || asked.endsWith('/') ? `${asked}index.html` : asked);
      const readable = await openEvidence(services, token, path);
      const filename = path.slice(path.lastIndexOf('/') + 1);
      const { kind, type, inline } = evidenceKind(path, readable.file.media_type);
      await serveBytes(ctx, { ...readable, mediaType: type, filename });
      ctx.set(evidenceHeaders(kind, ctx.host, token));
      const saved = queryOf(ctx).has('download') || !inline || (kind === 'active' && opensAlone(ctx));
      ctx.set('Content-Disposition', saved ? attachmentOf(filename) : 'inline');
      return undefined;
    },
  }),

  page({
    path: '/ui/evidence.css',
    id: 'showEvidenceStyle',
    async handle(_, _request, ctx) {
      ctx.set('Cache-Control', 'public, max-age=3600');
      ctx.body = EVIDENCE_CSS;
      ctx.type = 'text/css; charset=utf-8';
      return undefined;
    },
  }),
];

/** In a tab of its own, where nothing keeps it from leading elsewhere: shown in a frame alone. */
function opensAlone(ctx: Context): boolean {
  return ctx.get('sec-fetch-dest') === 'document';
}

function attachmentOf(filename: string): string {
  return inertHeaders(filename)['Content-Disposition'] as string;
}

function queryOf(ctx: Context): URLSearchParams {
  return new URLSearchParams(ctx.querystring);
}
