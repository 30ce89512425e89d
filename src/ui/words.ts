import { formatBytes, formatTime } from '../core/format.ts';
import type { PackageStatus } from '../core/package-state.ts';
import { type Html, html } from './html.ts';

/** How good something is, for its colour: the words say it too. */
export type Tone = 'good' | 'warn' | 'bad' | '';

export function badge(text: string, tone: Tone): Html {
  return html`<span class="badge ${tone}">${text}</span>`;
}

const STATUS_TONES: Record<PackageStatus, Tone> = {
  created: 'warn',
  uploading: 'warn',
  finalized: 'good',
  failed: 'bad',
  deleted: '',
};

export function statusBadge(status: PackageStatus): Html {
  return badge(status, STATUS_TONES[status]);
}

/** @param at ms; null: nothing */
export function timeMarkup(at: number | null): Html | null {
  if (at === null) return null;
  const iso = new Date(at).toISOString();
  return html`<time datetime="${iso}">${formatTime(iso)}</time>`;
}

export function dayMarkup(at: number | null, none: string): Html {
  if (at === null) return html`${none}`;
  const iso = new Date(at).toISOString();
  return html`<time datetime="${iso}" title="${formatTime(iso)}">${iso.slice(0, 10)}</time>`;
}

/** Rounded, and to the byte for whoever wants it. */
export function sizeMarkup(bytes: number): Html {
  return html`<span title="${bytes} bytes">${formatBytes(bytes)}</span>`;
}

/** A text of any number of lines. */
export function linesMarkup(text: string): Html {
  const lines = text.split('\n');
  return html`${lines.map((line, index) => (index === 0 ? html`${line}` : html`<br>${line}`))}`;
}

/** A list of what is what; null values are left out. */
export function facts(pairs: ReadonlyArray<readonly [label: string, value: Html | string | null]>): Html {
  const shown = pairs.filter(([, value]) => value !== null);
  return html`<dl>${shown.map(([label, value]) => html`<dt>${label}</dt><dd>${value}</dd>`)}</dl>`;
}

/** A path in an address: slashes stay. */
export function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

export function packageAddress(id: string): string {
  return `/ui/packages/${id}`;
}

/** An address with these fields; those that are undefined are left out. */
export function address(path: string, fields: Record<string, string | undefined>): string {
  const some = Object.entries(fields).filter((pair): pair is [string, string] => pair[1] !== undefined);
  return some.length === 0 ? path : `${path}?${new URLSearchParams(some).toString()}`;
}
