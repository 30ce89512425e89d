/** How evidence is shown. `active`: it may run, so only in a frame that is nobody. `none`: it is offered for download alone. */
export type EvidenceKind = 'text' | 'json' | 'image' | 'pdf' | 'active' | 'none';

interface Known {
  kind: EvidenceKind;
  /** As which it is sent: never what its producer says. */
  type: string;
  /** Sent to be shown, not to be saved. */
  inline: boolean;
}

const UTF8 = '; charset=utf-8';
const text = (type = 'text/plain'): Known => ({ kind: 'text', type: `${type}${UTF8}`, inline: true });
const image = (type: string): Known => ({ kind: 'image', type, inline: true });
const font = (type: string): Known => ({ kind: 'none', type, inline: true });
const active = (type: string): Known => ({ kind: 'active', type, inline: true });
const UNKNOWN: Known = { kind: 'none', type: 'application/octet-stream', inline: false };
const PLAIN_TEXT = text();

/** By the end of the name: the fixed table. */
const BY_EXTENSION: Readonly<Record<string, Known>> = {
  html: active(`text/html${UTF8}`),
  htm: active(`text/html${UTF8}`),
  xhtml: active('application/xhtml+xml'),
  svg: active('image/svg+xml'),
  pdf: { kind: 'pdf', type: 'application/pdf', inline: true },
  png: image('image/png'),
  jpg: image('image/jpeg'),
  jpeg: image('image/jpeg'),
  gif: image('image/gif'),
  webp: image('image/webp'),
  avif: image('image/avif'),
  bmp: image('image/bmp'),
  ico: image('image/x-icon'),
  json: { kind: 'json', type: `application/json${UTF8}`, inline: true },
  sarif: { kind: 'json', type: `application/json${UTF8}`, inline: true },
  map: { kind: 'json', type: `application/json${UTF8}`, inline: true },
  // A report's own: text to whoever looks at it, and itself to the report.
  css: text('text/css'),
  js: text('text/javascript'),
  mjs: text('text/javascript'),
  wasm: { kind: 'none', type: 'application/wasm', inline: true },
  woff: font('font/woff'),
  woff2: font('font/woff2'),
  ttf: font('font/ttf'),
  otf: font('font/otf'),
  mp4: { kind: 'none', type: 'video/mp4', inline: true },
  webm: { kind: 'none', type: 'video/webm', inline: true },
  // Sent as text: as XML it could name a style sheet that makes a page of it.
  xml: PLAIN_TEXT,
  ...Object.fromEntries(
    'txt log out err md markdown rst csv tsv jsonl ndjson yaml yml toml ini cfg conf properties env sh bash bat ps1 py rb go rs c h cc cpp hpp java kt scala swift ts tsx jsx sql diff patch tap xsd xsl dtd junit feature lock gradle cmake mk tex'
      .split(' ')
      .map((extension) => [extension, PLAIN_TEXT]),
  ),
  svgz: UNKNOWN,
};

/** Names without an end that are text. */
const TEXT_NAMES = /^(?:readme|license|licence|notice|changelog|authors|makefile|dockerfile|stdout|stderr|[^.]*log)$/i;
const TEXT_TYPES =
  /^(?:text\/(?!html\b)|application\/(?:json|xml|yaml|x-yaml|toml|javascript)\b|[\w.-]+\/[\w.-]+\+(?:json|xml)\b)/i;

/**
 * What a file is, by its name, and if that says nothing by what its producer said it is: then it is text, or nothing. What the producer
 * says makes nothing active, and nothing of what is active harmless.
 */
export function evidenceKind(path: string, mediaType: string): Known {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const extension = /\.([A-Za-z0-9]{1,12})$/.exec(name)?.[1]?.toLowerCase() ?? '';
  if (Object.hasOwn(BY_EXTENSION, extension)) return BY_EXTENSION[extension] as Known;
  return TEXT_NAMES.test(name) || TEXT_TYPES.test(mediaType) ? PLAIN_TEXT : UNKNOWN;
}
