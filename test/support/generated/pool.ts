import { sha256 } from '../api.ts';

/** What requests can name because it exists: learnt from the answers of the service. */
export type Kind =
  | 'package'
  | 'ready'
  | 'finalized'
  | 'file'
  | 'missing'
  | 'upload'
  | 'part'
  | 'object'
  | 'objectUrl'
  | 'hold'
  | 'sweep'
  | 'fixity'
  | 'token'
  | 'share'
  | 'webhook'
  | 'event'
  | 'stored'
  | 'logged'
  | 'external'
  | 'logSize'
  | `next page of ${string}`;

/** Each is a JSON text, so that equal things are one. */
const KEPT = 128;
const ID = /\b(pkg|upl|obj|hold|evt|swp|fix|tok|shr|whk)_[0-9a-f]{32}\b/g;
const KIND_OF: Record<string, Kind> = {
  pkg: 'package',
  upl: 'upload',
  obj: 'object',
  evt: 'event',
  swp: 'sweep',
  fix: 'fixity',
  tok: 'token',
  shr: 'share',
  whk: 'webhook',
};
/** Bytes: more of an answer is not searched. */
const SEARCHED = 20_000;

export class Pool {
  readonly #kinds = new Map<Kind, string[]>();
  /** By digest, which content it is. */
  readonly #contents = new Map<string, number>();

  /** The newest few are kept. */
  add(kind: Kind, value: unknown): void {
    const text = JSON.stringify(value);
    const kept = this.#kinds.get(kind) ?? [];
    this.#kinds.set(kind, kept);
    if (kept.includes(text)) return;
    kept.push(text);
    if (kept.length > KEPT) kept.shift();
  }

  /** @param nth any number @returns undefined: there is none yet */
  pick<T = unknown>(kind: Kind, nth: number): T | undefined {
    const kept = this.#kinds.get(kind) ?? [];
    const text = kept[nth % kept.length];
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Bytes that can be sent later. @returns what a package says of them */
  content(nth: number): { digest: string; size: number } {
    const bytes = contentOf(nth);
    const digest = sha256(bytes);
    this.#contents.set(digest, nth);
    return { digest, size: bytes.length };
  }

  bytesOf(digest: string): Buffer | undefined {
    const nth = this.#contents.get(digest);
    return nth === undefined ? undefined : contentOf(nth);
  }

  /** What an answer tells of. @param operation that was asked; null: none @param target that was asked */
  learn(operation: string | null, target: string, status: number, text: string): void {
    for (const [id, prefix] of text.slice(0, SEARCHED).matchAll(ID)) {
      const kind = KIND_OF[prefix as string];
      if (kind !== undefined) this.add(kind, id);
    }
    if (status >= 300) return;
    if (operation === null) return;
    this.#learnNext(operation, target, text);
    const told = this.#told[operation];
    if (told !== undefined) told(target, text);
  }

  readonly #told: Record<string, (target: string, text: string) => void> = {
    createPackage: (_, text) => {
      const { producer, external_id } = JSON.parse(text);
      if (external_id !== null) this.add('external', { producer, external_id });
    },
    registerFiles: (target, text) => {
      const id = idIn(target);
      for (const { path, digest, state } of JSON.parse(text).files) {
        this.add('file', { id, path });
        if (state === 'missing' && this.#contents.has(digest)) this.add('missing', { id, digest });
      }
    },
    putFile: (target, text) => {
      this.add('file', { id: idIn(target), path: JSON.parse(text).path });
      this.add('ready', idIn(target));
    },
    planUploads: (_, text) => {
      for (const { upload_id, digest, parts } of JSON.parse(text).uploads) {
        for (const part of parts) {
          const { pathname, search } = new URL(part.url);
          this.add('part', { upload: upload_id, digest, target: pathname + search, headers: part.headers });
        }
      }
    },
    planDownloads: (_, text) => {
      for (const { url, headers } of JSON.parse(text).objects) {
        const { pathname, search, protocol } = new URL(url);
        if (protocol === 'http:') this.add('objectUrl', { target: pathname + search, headers });
      }
    },
    listFiles: (_, text) => {
      for (const { digest, size, state } of JSON.parse(text).items)
        if (state === 'stored') this.add('stored', { digest, size });
    },
    placeHold: (target, text) => this.add('hold', { id: idIn(target), hold: JSON.parse(text).id }),
    finalizePackage: (target) => this.add('finalized', idIn(target)),
    getLogCheckpoint: (_, text) => this.add('logSize', Number(text.split('\n')[1])),
    listAudit: (_, text) => {
      for (const { id } of JSON.parse(text).items) this.add('logged', id);
    },
  };

  #learnNext(operation: string, target: string, text: string): void {
    const cursor = /"next_cursor":"([\w-]+)"/.exec(text)?.[1];
    if (cursor !== undefined) this.add(`next page of ${operation}`, { path: target.replace(/\?.*$/, ''), cursor });
  }
}

function idIn(target: string): string {
  return decodeURIComponent(target.split('/')[3] ?? '');
}

/** The empty file, small ones, and now and then one that compresses. */
function contentOf(nth: number): Buffer {
  return nth % 50 === 0
    ? Buffer.alloc(nth % 100 === 0 ? 0 : 40_000, `${nth} `)
    : Buffer.from(`generated content ${nth}`);
}
