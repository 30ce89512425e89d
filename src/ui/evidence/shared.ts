import { StoreError } from '../../core/errors.ts';
import type { LogicalPath } from '../../core/logical-path.ts';
import type { HttpServices } from '../../http/route.ts';
import { listFiles } from '../../usecases/list-files.ts';
import { signEvidence } from '../../usecases/open-evidence.ts';
import { type OpenShare, openShare } from '../../usecases/open-share.ts';
import { readFile } from '../../usecases/read-file.ts';
import { type Html, html } from '../html.ts';
import type { PageAnswer } from '../page.ts';
import { address, dayMarkup, sizeMarkup, timeMarkup } from '../words.ts';
import { type EvidenceLinks, evidenceLinks } from './links.ts';
import { viewFile } from './view-file.ts';
import { viewQuery } from './view-query.ts';

/** Files on one page. */
const PAGE = 500;

/** What a link shows: its package's files, or the one file. @throws StoreError share_not_found */
export async function sharedRoot(services: HttpServices, token: string, query: URLSearchParams): Promise<PageAnswer> {
  const open = await openShare(services, token);
  const { pkg, caller, share } = open;
  if (share.path !== null) return filePage(services, token, open, share.path, query);
  const { files, more } = await listFiles(services, caller, pkg.id, query.get('after'), PAGE);
  const links = await linksOf(services, token, open);
  const items = files
    .filter(({ deleted_at }) => deleted_at === null)
    .map(({ path, size }) => html`<li><a href="${links.page(path)}">${path}</a> ${sizeMarkup(size)}</li>`);
  const last = files.at(-1);
  const next = more && last ? address(links.package, { after: last.path }) : null;
  const on = next === null ? null : html`<p class="pager"><a rel="next" href="${next}">More files</a></p>`;
  const style = html`<link rel="stylesheet" href="/ui/evidence.css">`;
  return pageOf(open, links, null, html`${style}<div class="panel"><ul class="files">${items}</ul></div>${on}`);
}

/** One file of what a link shows. @throws StoreError share_not_found, file_not_found, file_deleted */
export async function sharedFile(
  services: HttpServices,
  token: string,
  path: LogicalPath,
  query: URLSearchParams,
): Promise<PageAnswer> {
  return filePage(services, token, await openShare(services, token), path, query);
}

async function filePage(
  services: HttpServices,
  token: string,
  open: OpenShare,
  path: LogicalPath,
  query: URLSearchParams,
): Promise<PageAnswer> {
  const { pkg, caller, share } = open;
  if (share.path !== null && share.path !== path) {
    throw new StoreError('file_not_found', `This link shows another file than ${JSON.stringify(path)}.`, { path });
  }
  const links = await linksOf(services, token, open);
  const readable = await readFile(services, caller, pkg.id, path);
  return pageOf(open, links, path, await viewFile({ pkg, readable, links, query: viewQuery(query) }));
}

async function linksOf(services: HttpServices, token: string, { pkg, share }: OpenShare): Promise<EvidenceLinks> {
  const base = `/ui/shared/${token}`;
  return evidenceLinks(base, `${base}/files/`, await signEvidence(services, pkg.id, share));
}

function pageOf({ pkg, share }: OpenShare, links: EvidenceLinks, path: LogicalPath | null, content: Html): PageAnswer {
  const title = path ?? pkg.name;
  const trail = path === null || share.path !== null ? [] : [{ text: pkg.name, href: links.package }];
  const about = pkg.subject === null ? null : html`, about ${pkg.subject}`;
  const body = html`<h1>${title}</h1>
<p class="soft">Made by ${pkg.producer}${about}. Preserved ${dayMarkup(pkg.finalized_at, '')}. This link ends ${timeMarkup(share.expires_at)}.</p>
${content}`;
  return { title, trail, body };
}
