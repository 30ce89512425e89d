import { countOf, formatCount } from '../core/format.ts';
import type { FolderPage, Subfolder } from '../usecases/list-folder.ts';
import { COUNTED_TEXT } from '../usecases/list-folder.ts';
import type { FileRecord } from '../usecases/records.ts';
import { type Html, html } from './html.ts';
import { address, badge, dayMarkup, encodePath, packageAddress, sizeMarkup } from './words.ts';

/** What stands in a folder: folders lead on, files to what shows them. */
export function folderTable(id: string, folder: string, { entries, next }: FolderPage, first: boolean): Html {
  const base = packageAddress(id);
  const rows = entries.map((entry) =>
    'folder' in entry ? folderRow(base, folder, entry.folder) : fileRow(base, folder, entry.file),
  );
  const up = folder === '' ? null : parentRow(base, folder);
  if (rows.length === 0) return html`<p>${first ? 'There are no files here.' : 'There are no more.'}</p>`;
  return html`<table class="tree"><thead><tr><th scope="col">Name</th><th scope="col" class="num">Size</th><th scope="col" class="num">Files</th></tr></thead>
<tbody>${up}${rows}</tbody></table>
${
  first && next === null
    ? null
    : html`<nav class="pager" aria-label="Pages">${first ? null : html`<a href="${folderAddress(base, folder)}">First page</a>`}
${next === null ? null : html`<a rel="next" href="${folderAddress(base, folder, next)}">Next page</a>`}</nav>`
}`;
}

export function folderAddress(base: string, folder: string, after?: string): string {
  return address(`${base}/files`, { in: folder === '' ? undefined : folder, after });
}

function parentRow(base: string, folder: string): Html {
  const parent = folder.replace(/[^/]+\/$/, '');
  return html`<tr><td><span class="icon" aria-hidden="true">↑</span><a href="${folderAddress(base, parent)}">${parent === '' ? 'The whole package' : parent}</a></td><td></td><td></td></tr>`;
}

function folderRow(base: string, folder: string, { path, below }: Subfolder): Html {
  return html`<tr><td><span class="icon" aria-hidden="true">▸</span><a class="folder" href="${folderAddress(base, path)}">${path.slice(folder.length)}</a></td>
<td class="num">${below === null ? null : sizeMarkup(below.bytes)}</td><td class="num">${below === null ? COUNTED_TEXT : formatCount(below.files)}</td></tr>`;
}

function fileRow(base: string, folder: string, file: FileRecord): Html {
  const { path, size, proven, lost, deleted_at, executable } = file;
  const name = path.slice(folder.length);
  const icon = html`<span class="icon" aria-hidden="true"></span>`;
  if (deleted_at !== null) {
    return html`<tr><td>${icon}<s>${name}</s> ${badge('removed', '')} <span class="soft small">${dayMarkup(deleted_at, '')}</span></td><td class="num">${sizeMarkup(size)}</td><td></td></tr>`;
  }
  const missing = proven && !lost ? null : html` ${badge('missing', 'bad')}`;
  return html`<tr><td>${icon}<a href="${base}/files/${encodePath(path)}">${name}</a>${executable ? html` ${badge('executable', '')}` : null}${missing}</td>
<td class="num">${sizeMarkup(size)}</td><td></td></tr>`;
}

/** Where a folder is, each part of it a link. */
export function folderTrail(base: string, folder: string): Html {
  const parts = folder.split('/').slice(0, -1);
  const steps = parts.map((part, index) => {
    const path = `${parts.slice(0, index + 1).join('/')}/`;
    return path === folder
      ? html`<li aria-current="page">${part}</li>`
      : html`<li><a href="${folderAddress(base, path)}">${part}</a></li>`;
  });
  return html`<ol class="trail"><li><a href="${base}/files">files</a></li>${steps}</ol>`;
}

export function filesText(count: number): string {
  return countOf(count, 'file');
}
