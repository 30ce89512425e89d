import * as asked from '../../api/key-requests.ts';
import * as schema from '../../api/keys.ts';
import type * as wire from '../../api/types.ts';
import { parsePackageId } from '../../core/ids.ts';
import { readAttestation } from '../../usecases/read-file.ts';
import { readReceipt } from '../../usecases/receipts.ts';
import type { SigningKeyRecord } from '../../usecases/records.ts';
import { listKeys, rotateKey } from '../../usecases/signing-keys.ts';
import { serveBytes } from '../bytes.ts';
import { iso } from '../present.ts';
import { type Route, route } from '../route.ts';

export const keyRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/packages/{id}/attestation',
    operationId: 'getAttestation',
    summary: 'What the service signed when the package was finalized: an in-toto Statement v1 in a DSSE envelope',
    tag: 'Proof',
    answers: { 200: 'the envelope', 206: 'the range', 304: 'not modified' },
    async handle(services, { params, caller }, ctx) {
      const id = parsePackageId(params.id as string);
      const envelope = await readAttestation(services, caller, id);
      await serveBytes(ctx, { ...envelope, mediaType: ENVELOPE, filename: `${id}.attestation.json` });
      return undefined;
    },
  }),

  route({
    method: 'get',
    path: '/v1/packages/{id}/receipt',
    operationId: 'getReceipt',
    summary: 'What the service signed of a deletion, of the package or of some of its files: a DSSE envelope',
    tag: 'Proof',
    query: asked.ReceiptQuery,
    answers: { 200: 'the envelope' },
    async handle(services, { params, query, caller }, ctx) {
      const receipt = await readReceipt(services, caller, parsePackageId(params.id as string), query.decision);
      ctx.status = 200;
      ctx.body = receipt;
      ctx.type = ENVELOPE;
      return undefined;
    },
  }),

  route({
    method: 'get',
    path: '/v1/keys',
    operationId: 'listKeys',
    summary: 'The public keys that check what the service signs or has signed, the oldest first',
    tag: 'Proof',
    answers: { 200: schema.SigningKeyList },
    async handle(services) {
      const { keys, current } = await listKeys(services);
      return { status: 200, body: { items: keys.map(present), current } };
    },
  }),

  route({
    method: 'post',
    path: '/v1/keys',
    operationId: 'rotateKey',
    summary: 'Makes a new key, with which this service signs from now on; what the old one signed stays valid',
    tag: 'Proof',
    answers: { 201: schema.SigningKey },
    handle: async (services, { caller }) => ({ status: 201, body: present(await rotateKey(services, caller)) }),
  }),
];

const ENVELOPE = 'application/vnd.dsse.envelope.v1+json';

function present({ id, pem, since, retired_at }: SigningKeyRecord): wire.SigningKey {
  const retired = retired_at === null ? null : iso(retired_at);
  return { id, algorithm: 'ed25519', public_key: pem, since: iso(since), retired_at: retired };
}
