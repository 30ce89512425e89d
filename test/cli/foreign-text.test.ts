import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { VERBS } from '../../cli/commands/index.ts';
import { renderJson } from '../../cli/text.ts';
import { canonicalJson } from '../../src/core/canonical-json.ts';
import { checkpointText } from '../../src/core/checkpoint.ts';
import { EMPTY_ROOT, leafHash } from '../../src/core/merkle.ts';
import { signNote } from '../../src/core/signed-note.ts';
import { readSigningKey } from '../../src/core/signing-key.ts';
import { proofText } from '../../src/core/tlog-proof.ts';
import { bagFiles, writeBag } from '../support/bags.ts';
import { runCli } from '../support/cli-child.ts';
import {
  DAMAGED,
  DELIVERY,
  ELIGIBLE,
  FIXITY,
  FIXITY_RUN,
  FOUND,
  HOLD,
  HOLD_ID,
  KEY,
  type Lie,
  type LyingRoute,
  linkOf,
  manifestFile,
  manifestOf,
  QUOTA,
  READY,
  RETENTION,
  SHARE,
  SWEEP,
  sealed,
  startLyingService,
  TOKEN,
  WEBHOOK,
} from '../support/lying-service.ts';
import { startStatehub } from '../support/statehub.ts';
import { tempFolder } from '../support/temp.ts';
import { writeTree } from '../support/tree.ts';
import { PACKAGE_ID, packageAnswer } from '../support/wire.ts';

/** ESC with a window title, BEL, CSI in one character, NEL, DEL, a direction mark, separators, a carriage return, a line break. */
const HOSTILE = 'a\u001b]0;title\u0007\u009b31m\u0085\u007f\u202e\u061c\u2028\u2029\r\nartifact-store: forged';
/** What drives a terminal, or moves what stands there. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const DRIVES = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

const PROBLEM: Lie = {
  json: { code: 'package_not_found', detail: HOSTILE, [HOSTILE]: [HOSTILE], path: HOSTILE, request_id: HOSTILE },
  status: 404,
};
/** Of something that is no artifact-store at all. */
const PLAIN: Lie = (response) => response.writeHead(418, { 'content-type': 'text/plain' }).end(HOSTILE);

const TEXTS = { name: HOSTILE, producer: HOSTILE, subject: HOSTILE, external_id: HOSTILE, reason: HOSTILE };
const MANIFEST = manifestOf([manifestFile({ media_type: HOSTILE })]);
const PACKAGE = sealed(MANIFEST, {
  ...TEXTS,
  metadata: { [HOSTILE]: HOSTILE, list: [HOSTILE] },
  retention: { class: HOSTILE, expires_at: null, held: true, eligible: false },
});
const HELD = { ...HOLD, reason: HOSTILE, reference: HOSTILE, placed_by: HOSTILE };
const EVENT = { id: HOSTILE, action: HOSTILE, at: '2026-01-01T00:00:00Z', actor: HOSTILE, reason: HOSTILE };
const DECIDED = {
  ...RETENTION,
  class: HOSTILE,
  holds: [HELD, { ...HELD, id: HOLD_ID.replace('8', '9') }],
  events: [{ ...EVENT, expires_before: null, expires_after: null }],
};
/** A file, and a manifest, that have no good bytes left. */
const LOST = ['file', null].map((path) => ({ ...DAMAGED, package_id: HOSTILE, path: path && HOSTILE, seen: HOSTILE }));
const HOSTILE_TOKEN = {
  ...TOKEN,
  name: HOSTILE,
  description: HOSTILE,
  scopes: [HOSTILE],
  producers: [HOSTILE],
  actor: HOSTILE,
  created_by: HOSTILE,
  revoked_by: HOSTILE,
};
const HOSTILE_SHARE = { ...SHARE, path: HOSTILE, note: HOSTILE, created_by: HOSTILE, revoked_by: HOSTILE };
const HOSTILE_FOUND = {
  package_id: HOSTILE,
  package_name: HOSTILE,
  producer: HOSTILE,
  subject: HOSTILE,
  path: HOSTILE,
};
const HOSTILE_WEBHOOK = {
  ...WEBHOOK,
  url: HOSTILE,
  description: HOSTILE,
  types: [HOSTILE],
  producers: [HOSTILE],
  created_by: HOSTILE,
  failure: HOSTILE,
};
const CHECK = { name: HOSTILE, level: 'warning', says: HOSTILE, advice: HOSTILE };
const COMPONENT = { kind: HOSTILE, ok: false, latency_ms: 1, error: HOSTILE };

const SIGNER = readSigningKey(
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
);
const ENTRY = Buffer.from(canonicalJson({ id: 'evt_x', reason: HOSTILE }));

/** Names of logs have no spaces and no line breaks; nothing else is forbidden. */
function noteOf(size: number, root: Readonly<Buffer>): string {
  const origin = HOSTILE.replaceAll(/\s/g, '');
  return signNote(checkpointText({ origin, size, root: Buffer.from(root) }), origin, SIGNER);
}

/** Every text that the service may choose is hostile. */
const LIES: Partial<Record<LyingRoute, Lie>> = {
  package: { json: PACKAGE },
  packages: { json: { items: [PACKAGE, { ...PACKAGE, status: 'uploading' }], next_cursor: HOSTILE } },
  create: { json: { ...PACKAGE, status: 'created' }, status: 201 },
  finalize: { json: PACKAGE },
  manifest: (response) => response.end(MANIFEST),
  link: { json: { ...linkOf({ author: HOSTILE, summary: HOSTILE, detail: { [HOSTILE]: HOSTILE } }), url: HOSTILE } },
  retention: { json: DECIDED },
  extend: { json: DECIDED },
  hold: { json: HELD },
  release: { json: { ...HELD, released_at: '2026-01-01T00:00:00Z', released_by: HOSTILE, release_reason: HOSTILE } },
  delete: { json: packageAnswer({ ...TEXTS, status: 'deleted' }) },
  eligible: {
    json: {
      items: [{ ...ELIGIBLE, name: HOSTILE, producer: HOSTILE, retention_class: HOSTILE, reason: HOSTILE }],
      next_cursor: HOSTILE,
    },
  },
  sweep: { json: { ...SWEEP, id: HOSTILE, report: { ...SWEEP.report, unknown_packages: [HOSTILE] } } },
  fixity: { json: { ...FIXITY, damaged: { items: LOST, more: true } } },
  'fixity run': { json: { ...FIXITY_RUN, id: HOSTILE, damaged: { items: LOST, more: true } } },
  'repair manifests': { json: { repaired: [HOSTILE], kept: [HOSTILE] } },
  quota: { json: { items: [{ ...QUOTA, producer: HOSTILE }], next_cursor: null } },
  attestation: { json: { payloadType: HOSTILE, payload: '', signatures: [{ keyid: HOSTILE, sig: '' }] } },
  keys: { json: { items: [{ ...KEY, id: HOSTILE, public_key: SIGNER.publicKey.pem }], current: HOSTILE } },
  'new key': { json: { ...KEY, id: HOSTILE, public_key: HOSTILE }, status: 201 },
  tokens: { json: { items: [HOSTILE_TOKEN, { ...HOSTILE_TOKEN, producers: null }], next_cursor: null } },
  'new token': { json: { ...HOSTILE_TOKEN, token: 'arts_x' }, status: 201 },
  revoke: { json: HOSTILE_TOKEN },
  found: { json: { items: [{ ...FOUND, ...HOSTILE_FOUND }], next_cursor: null } },
  shares: { json: { items: [HOSTILE_SHARE], next_cursor: null } },
  'new share': { json: { ...HOSTILE_SHARE, url: 'http://x.example/ui/shared/artsh_x' }, status: 201 },
  'revoke share': { json: HOSTILE_SHARE },
  webhooks: { json: { items: [HOSTILE_WEBHOOK, { ...HOSTILE_WEBHOOK, types: null }], next_cursor: null } },
  'new webhook': { json: { ...HOSTILE_WEBHOOK, secret: 'whsec_x' }, status: 201 },
  'remove webhook': { json: HOSTILE_WEBHOOK },
  'test webhook': { json: { delivered: false, status: null, failure: HOSTILE } },
  rotate: { json: { ...HOSTILE_WEBHOOK, secret: 'whsec_x' } },
  deliveries: {
    json: {
      items: [{ ...DELIVERY, event_id: HOSTILE, type: HOSTILE, package_id: HOSTILE, failure: HOSTILE }],
      next_cursor: null,
    },
  },
  ready: {
    json: {
      ...READY,
      version: HOSTILE,
      registry: { ...COMPONENT, schema: HOSTILE },
      blob_store: { ...COMPONENT, free_bytes: null, capabilities: { [HOSTILE]: true }, findings: [HOSTILE] },
    },
  },
  diagnosis: { json: { checks: [CHECK] } },
  log: { json: { origin: HOSTILE, verifier: HOSTILE, checkpoint: null, gaps: [] } },
  checkpoint: (response) => response.end(noteOf(0, EMPTY_ROOT)),
  proof: (response) =>
    response.end(proofText({ entry: ENTRY, index: 0, hashes: [], note: noteOf(1, leafHash(ENTRY)) })),
};

const RUN = join(import.meta.dirname, '../../fixtures/guide-board/run-20260513T210255Z');

/** A command line for every verb that talks to a service; those of `raw` write bytes to stdout as they are. */
const LINES: Record<string, { args: string[]; raw?: boolean }> = {
  push: { args: ['tree', '--producer', 'tests'] },
  'ingest guide-board': { args: [RUN, '--statehub', 'STATEHUB'] },
  'ingest bagit': { args: ['bag', '--producer', 'tests'] },
  pull: { args: [PACKAGE_ID, 'copy'] },
  export: { args: [PACKAGE_ID, '--bundle', 'run.tar'] },
  ls: { args: ['--limit', '2'] },
  show: { args: [PACKAGE_ID] },
  find: { args: ['file'] },
  manifest: { args: [PACKAGE_ID], raw: true },
  cat: { args: [PACKAGE_ID, 'file'], raw: true },
  link: { args: [PACKAGE_ID, '--post', 'STATEHUB'] },
  'share create': { args: [PACKAGE_ID] },
  'share ls': { args: [PACKAGE_ID] },
  'share revoke': { args: ['shr_x'] },
  diff: { args: [PACKAGE_ID, 'tree'] },
  verify: { args: [PACKAGE_ID, '--against', 'tree'] },
  retention: { args: [PACKAGE_ID] },
  extend: { args: [PACKAGE_ID, '--days', '1', '--reason', 'x'] },
  hold: { args: [PACKAGE_ID, '--reason', 'x'] },
  release: { args: [PACKAGE_ID, '--reason', 'x'] },
  eligible: { args: ['--limit', '1'] },
  rm: { args: [PACKAGE_ID, '--reason', 'x'] },
  sweep: { args: [] },
  fixity: { args: ['--now'] },
  repair: { args: ['tree', '--manifests'] },
  quota: { args: [] },
  'keys ls': { args: [] },
  'keys rotate': { args: [] },
  'keys export': { args: [], raw: true },
  'token create': { args: ['--name', 'n', '--scope', 'operator'] },
  'token ls': { args: [] },
  'token revoke': { args: ['tok_x'] },
  'webhook add': { args: ['https://receiver.example/'] },
  'webhook ls': { args: [] },
  'webhook rm': { args: ['whk_x'] },
  'webhook test': { args: ['whk_x'] },
  'webhook rotate': { args: ['whk_x'] },
  'webhook deliveries': { args: ['whk_x'] },
  'webhook replay': { args: ['whk_x'] },
  'audit verify': { args: [] },
  'audit checkpoint': { args: [] },
  'audit prove': { args: ['evt_x'] },
  doctor: { args: [] },
};

test('every verb that talks to a service is tried', (t) => {
  const verbs = VERBS.filter(({ client }) => client).map(({ name }) => name);
  t.deepEqual(Object.keys(LINES).toSorted(), verbs.toSorted());
});

/** Whose text a terminal must not obey either: a label, and a manifest that nobody knows. */
const HOSTILE_BAG = bagFiles({ info: `Contact\u009b31m\u202e: ${HOSTILE.replace(/[\r\n]+/g, '')}\n` });

async function say(t: ExecutionContext, verb: string, lies: typeof LIES, more: string[]) {
  const folder = await tempFolder(t);
  await writeTree(join(folder, 'tree'), { 'hostile\u009b31m\u202e\u2028': 'x', plain: 'y' });
  await writeBag(join(folder, 'bag'), HOSTILE_BAG);
  const service = await startLyingService(lies);
  const hub = await startStatehub([302], { location: 'http://x.example/\u009b31m' });
  t.teardown(() => service.close());
  t.teardown(() => hub.close());
  const args = LINES[verb]?.args.map((arg) => (arg === 'STATEHUB' ? hub.url : arg)) ?? [];
  const env = { XDG_CACHE_HOME: join(folder, 'cache') };
  return runCli([...verb.split(' '), ...args, '--url', service.url, ...more], { env, cwd: folder });
}

function assertTame(t: ExecutionContext, what: string, text: string): void {
  t.notRegex(text, DRIVES, what);
  t.notRegex(text, /^artifact-store: forged/m, `${what}: a line of its own`);
}

const ROUTES: readonly LyingRoute[] = [
  'limits',
  'package',
  'packages',
  'create',
  'ready',
  'diagnosis',
  'eligible',
  'sweep',
  'fixity',
  'fixity run',
  'quota',
  'keys',
  'new key',
  'tokens',
  'new token',
  'revoke',
  'found',
  'shares',
  'new share',
  'revoke share',
  'webhooks',
  'new webhook',
  'remove webhook',
  'test webhook',
  'rotate',
  'deliveries',
  'replay',
];
const FAILING = Object.fromEntries(ROUTES.map((route) => [route, PROBLEM]));
const TEAPOT = Object.fromEntries(Object.keys(FAILING).map((route) => [route, PLAIN]));

for (const [verb, { raw }] of Object.entries(LINES)) {
  test.serial(`text of a hostile service cannot control a terminal: ${verb}`, async (t) => {
    for (const [what, lies] of [
      ['an answer', LIES],
      ['a problem', FAILING],
      ['another server', TEAPOT],
    ] as const) {
      const spoken = await say(t, verb, lies, []);
      assertTame(t, `${what}, stderr`, spoken.stderr);
      // A failure has nothing to say on stdout; an answer of these two is bytes.
      if (!raw) assertTame(t, `${what}, stdout`, spoken.stdout);
      if (what !== 'an answer') t.not(spoken.code, 0, what);
      if (raw) continue;
      const { stdout, stderr, json } = await say(t, verb, lies, ['--json']);
      assertTame(t, `${what}, --json`, stdout + stderr);
      t.is(typeof json, 'object', `${what}: ${stdout}`);
    }
  });
}

const ENDED = { state: 'failed', id: HOSTILE, error: { code: HOSTILE, detail: HOSTILE } };
for (const [verb, lies] of [
  ['sweep', { sweep: { json: { ...SWEEP, ...ENDED } } }],
  ['fixity', { 'fixity run': { json: { ...FIXITY_RUN, ...ENDED } } }],
] as const) {
  test.serial(`nor can the reason why work of the service failed: ${verb}`, async (t) => {
    for (const more of [[], ['--json']]) {
      const { code, stdout, stderr } = await say(t, verb, lies, more);
      t.is(code, 1);
      assertTame(t, more.join(), stdout + stderr);
    }
  });
}

test('JSON is escaped, not changed', (t) => {
  const value = { [HOSTILE]: [HOSTILE], next: { path: HOSTILE } };
  const text = renderJson(value);
  assertTame(t, 'JSON', text);
  t.deepEqual(JSON.parse(text), value);
  t.is(renderJson({ text: 'Grüße, \u{1f600}\u200d' }), '{\n  "text": "Grüße, \u{1f600}\u200d"\n}');
});
