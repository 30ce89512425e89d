import * as z from 'zod/mini';
import { ArchiveQuery } from '../../api/archive-requests.ts';
import { parsePackageId } from '../../core/ids.ts';
import { PATH_MAX_BYTES, parseLogicalPath } from '../../core/logical-path.ts';
import { serveBytes } from '../../http/bytes.ts';
import { sendArchive } from '../../http/send-archive.ts';
import { listFolder } from '../../usecases/list-folder.ts';
import { getPackage } from '../../usecases/list-packages.ts';
import { readAttestation, readFile, readManifest } from '../../usecases/read-file.ts';
import { folderTable, folderTrail } from '../folder-table.ts';
import { html } from '../html.ts';
import { packageFrame } from '../package-frame.ts';
import { page } from '../page.ts';
import { packageAddress } from '../words.ts';

/** The page has less than 100 kB. */
const PAGE = 200;

const path = z.optional(z.string().check(z.maxLength(PATH_MAX_BYTES)));

export const folderPage = page({
  path: '/ui/packages/{id}/files',
  id: 'browseFiles',
  query: z.object({ in: path, after: path }),
  async handle(services, { params, query, caller }) {
    const id = parsePackageId(params.id as string);
    const pkg = await getPackage(services, caller, id);
    const folder = query.in === undefined || query.in.endsWith('/') ? (query.in ?? '') : `${query.in}/`;
    const found = await listFolder(services, caller, id, { folder, after: query.after ?? null, limit: PAGE });
    const now = await services.registry.read.now();
    const body = html`<section class="panel"><h2>Files</h2>
${folder === '' ? null : html`<nav aria-label="Folder">${folderTrail(packageAddress(id), folder)}</nav>`}
${folderTable(id, folder, found, query.after === undefined)}</section>`;
    return packageFrame({ pkg, caller, now, tab: 'files', title: folder === '' ? 'Files' : folder, body });
  },
});

export const savePages = [
  page({
    path: '/ui/packages/{id}/raw/{path}',
    id: 'saveFile',
    async handle(services, { params, caller }, ctx) {
      const wanted = parseLogicalPath(params.path as string);
      const readable = await readFile(services, caller, parsePackageId(params.id as string), wanted);
      const filename = wanted.slice(wanted.lastIndexOf('/') + 1);
      await serveBytes(ctx, { ...readable, mediaType: readable.file.media_type, filename });
      return undefined;
    },
  }),
  page({
    path: '/ui/packages/{id}/manifest',
    id: 'saveManifest',
    async handle(services, { params, caller }, ctx) {
      const id = parsePackageId(params.id as string);
      const manifest = await readManifest(services, caller, id);
      await serveBytes(ctx, { ...manifest, mediaType: 'application/json', filename: `${id}.manifest.json` });
      return undefined;
    },
  }),
  page({
    path: '/ui/packages/{id}/archive',
    id: 'saveArchive',
    query: ArchiveQuery,
    async handle(services, { params, query, caller }, ctx) {
      const { format: kind, names, path: glob } = query;
      await sendArchive(services, caller, parsePackageId(params.id as string), { kind, names, glob }, ctx);
      return undefined;
    },
  }),
  page({
    path: '/ui/packages/{id}/attestation',
    id: 'saveAttestation',
    async handle(services, { params, caller }, ctx) {
      const id = parsePackageId(params.id as string);
      const signed = await readAttestation(services, caller, id);
      await serveBytes(ctx, { ...signed, mediaType: 'application/json', filename: `${id}.attestation.json` });
      return undefined;
    },
  }),
];
