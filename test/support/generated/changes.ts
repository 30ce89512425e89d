import { BYTES, HEADERS, METHODS, RAW_QUERIES, RAW_SEGMENTS, RAW_VALUES, TYPES } from './spoilers.ts';

/** A request before it is sent: what a change may spoil. */
export interface Draft {
  method: string;
  /** Percent-encoded. */
  path: string;
  /** Percent-encoded; null: a name without `=`. */
  query: Array<[name: string, value: string | null]>;
  /** What the document says that the query may have. */
  parameters: string[];
  headers: Array<[string, string]>;
  /** Undefined: there is none, or `bytes` are sent. */
  json: unknown;
  bytes: Buffer | undefined;
  /** What of it two readers could understand differently, so that it must be refused; null: nothing is known. */
  ambiguous: string | null;
}

/** One thing that is wrong with a request. */
export interface Change {
  what: keyof typeof CHANGES;
  /** Which of several; any number. */
  at: number;
  /** What is put there. */
  value: unknown;
}

/** Headers that decide what a request means. */
const DECIDING = new Set([
  'authorization',
  'content-encoding',
  'content-range',
  'content-type',
  'host',
  'if-match',
  'if-none-match',
  'if-range',
  'origin',
  'range',
  'repr-digest',
]);

/** Half of a surrogate pair as the bytes that its bits would give, which are not UTF-8. */
export function encode(text: string): string {
  return text.isWellFormed()
    ? encodeURIComponent(text)
    : [...text].map((c) => (c.isWellFormed() ? encodeURIComponent(c) : '%ED%A0%80')).join('');
}

function nth<Item>(all: readonly Item[], at: number): Item {
  return all[at % all.length] as Item;
}

interface Place {
  within: Record<string, unknown>;
  name: string;
}

/** Every member and element of a value. */
function placesIn(value: unknown): Place[] {
  if (typeof value !== 'object' || value === null) return [];
  const within = value as Record<string, unknown>;
  return Object.keys(within).flatMap((name) => [{ within, name }, ...placesIn(within[name])]);
}

function put({ within, name }: Place, value: unknown): void {
  // A copy: what is put there may be spoilt further.
  const own = structuredClone(value);
  Object.defineProperty(within, name, { value: own, enumerable: true, configurable: true, writable: true });
}

const RAW = 'a place for what JSON.stringify does not write';

function setText(draft: Draft, text: string): void {
  draft.bytes = Buffer.from(text);
  draft.json = undefined;
}

type Make = (draft: Draft, at: number, value: unknown) => void;

/** Every way to spoil a request. What does not apply to one changes nothing. */
export const CHANGES = {
  field(draft, at, value) {
    const places = placesIn(draft.json);
    if (places.length > 0) put(nth(places, at), value);
    else if (draft.json !== undefined) draft.json = structuredClone(value);
  },
  lessFields(draft, at) {
    const places = placesIn(draft.json);
    if (places.length === 0) return;
    const { within, name } = nth(places, at);
    if (Array.isArray(within)) within.splice(Number(name), 1);
    else Reflect.deleteProperty(within, name);
  },
  moreFields(draft, at, value) {
    const objects = [draft.json, ...placesIn(draft.json).map(({ within, name }) => within[name])].filter(
      (each) => typeof each === 'object' && each !== null && !Array.isArray(each),
    );
    if (objects.length === 0) return;
    put(
      { within: nth(objects, at) as Record<string, unknown>, name: typeof value === 'string' ? value : 'more' },
      value,
    );
  },
  rawValue(draft, at) {
    const places = placesIn(draft.json);
    if (places.length === 0) return;
    put(nth(places, at), RAW);
    setText(draft, JSON.stringify(draft.json).replace(`"${RAW}"`, nth(RAW_VALUES, at >> 3)));
  },
  nameTwice(draft, at) {
    if (typeof draft.json !== 'object') return;
    const text = JSON.stringify(draft.json);
    const found = [...text.matchAll(/\{("(?:[^"\\]|\\.)*"):/g)];
    if (found.length === 0) return;
    const { index, 1: name = '' } = nth(found, at);
    // The second one is written with an escape.
    const first =
      name.length > 2 && at % 2 === 0
        ? `"\\u${name.charCodeAt(1).toString(16).padStart(4, '0')}${name.slice(2)}`
        : name;
    setText(draft, `${text.slice(0, index + 1)}${name.includes('\\') ? name : first}:0,${text.slice(index + 1)}`);
    draft.ambiguous = 'a name twice in an object';
  },
  text(draft, at) {
    draft.bytes = nth(BYTES, at);
    draft.json = undefined;
    if (at % 3 !== 0 && !draft.headers.some(([name]) => name === 'content-type'))
      draft.headers.push(['content-type', 'application/json']);
  },
  noBody(draft) {
    draft.bytes = undefined;
    draft.json = undefined;
  },
  someBody(draft, at, value) {
    if (draft.json !== undefined || draft.bytes !== undefined) return;
    draft.json = structuredClone(value);
    if (at % 2 === 0) draft.headers.push(['content-type', 'application/json']);
  },
  queryValue(draft, at, value) {
    const name = draft.parameters.length === 0 ? 'x' : nth(draft.parameters, at);
    draft.query = [...draft.query.filter(([other]) => other !== name), [name, encode(String(value))]];
  },
  lessQuery(draft, at) {
    if (draft.query.length > 0) draft.query.splice(at % draft.query.length, 1);
  },
  moreQuery(draft, at, value) {
    draft.query.push([encode(String(value)), at % 3 === 0 ? null : 'x']);
  },
  queryTwice(draft, at, value) {
    if (draft.query.length === 0) return;
    const [name, same] = nth(draft.query, at);
    draft.query.push([name, at % 2 === 0 ? same : encode(String(value))]);
    draft.ambiguous = 'a parameter twice';
  },
  rawQuery(draft, at) {
    draft.query.push([nth(RAW_QUERIES, at), null]);
  },
  segment(draft, at, value) {
    const segments = draft.path.split('/');
    segments[1 + (at % (segments.length - 1))] = at % 2 === 0 ? encode(String(value)) : nth(RAW_SEGMENTS, at >> 3);
    draft.path = segments.join('/');
  },
  pathEnd(draft, at) {
    draft.path += nth(
      ['/', '//', '/.', '/..', '%00', '%20', '.json', ';', '/%2e%2e/%2e%2e', '?', '%3f', '#x', '\\x'],
      at,
    );
  },
  pathStart(draft, at) {
    draft.path =
      nth(['/', '/.', '/..', '/%2e', '/v1/..', '/x/../', '\\', 'http://evil.example', 'x', '*'], at) + draft.path;
  },
  encodedTwice(draft) {
    draft.path = draft.path.split('/').map(encodeURIComponent).join('/');
  },
  needlesslyEncoded(draft, at) {
    const index = at % draft.path.length;
    if (/[\w]/.test(draft.path[index] ?? '')) {
      const code = draft.path.charCodeAt(index).toString(16);
      if (!/%.?$/.test(draft.path.slice(0, index)))
        draft.path = `${draft.path.slice(0, index)}%${code}${draft.path.slice(index + 1)}`;
    }
  },
  upperCase(draft) {
    draft.path = draft.path.toUpperCase();
  },
  header(draft, at) {
    const [name, value] = nth(HEADERS, at);
    draft.headers = [...draft.headers.filter(([other]) => other !== name), [name, value]];
  },
  headerTwice(draft, at) {
    const [name, value] = at % 2 === 0 && draft.headers.length > 0 ? nth(draft.headers, at >> 1) : nth(HEADERS, at);
    draft.headers.push([name, value], [name, value]);
    if (DECIDING.has(name)) draft.ambiguous = `${name} twice`;
  },
  headerValue(draft, at, value) {
    const [name] = nth(HEADERS, at);
    const text = Buffer.from(String(value).toWellFormed().slice(0, 2_000))
      .toString('latin1')
      .replaceAll(/[^\t\x20-\x7e\x80-\xff]/g, '');
    draft.headers = [...draft.headers.filter(([other]) => other !== name), [name, text]];
  },
  noToken(draft) {
    draft.headers = draft.headers.filter(([name]) => name !== 'authorization');
  },
  type(draft, at) {
    draft.headers = [...draft.headers.filter(([name]) => name !== 'content-type'), ['content-type', nth(TYPES, at)]];
  },
  method(draft, at) {
    draft.method = nth(METHODS, at);
  },
} satisfies Record<string, Make>;
