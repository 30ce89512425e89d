import fc from 'fast-check';
import { CHANGES, type Change } from './changes.ts';
import type { ApiDocument, Operation } from './document.ts';
import { hostile, logicalPath, Ref, valid } from './values.ts';

/** What a request is made of; the ids are looked up when it is sent. */
export interface Recipe {
  operation: Operation;
  /** With something that exists and belongs together, if there is any: the nth. */
  apt: number | null;
  params: Record<string, unknown>;
  query: Record<string, unknown>;
  body: unknown;
  chunked: boolean;
  changes: Change[];
}

/** Of what costs much, fills lists that others read, or takes nothing that could be wrong, there is less. */
const WEIGHT: Record<string, number> = {
  startSweep: 1,
  startFixity: 2,
  repairManifests: 1,
  rotateKey: 1,
  getDiagnosis: 1,
  getReadiness: 1,
  getHealth: 2,
  getLimits: 2,
  getLog: 3,
  listKeys: 3,
  listSweeps: 3,
  listRepairs: 3,
  getFixity: 3,
  planRepairs: 8,
  listRetentionClasses: 3,
  failPackage: 3,
  abortUpload: 6,
  getSweep: 6,
  getFixityRun: 6,
  placeHold: 8,
  releaseHold: 12,
  getObject: 8,
  getLogProof: 8,
  getReceipt: 8,
  getAttestation: 10,
  getManifest: 10,
  getArchive: 10,
  deletePackage: 5,
  finalizePackage: 10,
  extendRetention: 6,
  linkPackage: 8,
  removeFile: 12,
  deleteFiles: 12,
  registerFiles: 45,
  planUploads: 45,
  createPackage: 35,
  putFile: 35,
  putPart: 30,
  commitUpload: 25,
};
const USUAL_WEIGHT = 20;

const change: fc.Arbitrary<Change> = fc.record({
  what: fc.constantFrom(...(Object.keys(CHANGES) as Array<keyof typeof CHANGES>)),
  at: fc.nat(1_000),
  value: hostile,
});

const changes = fc.oneof(
  { weight: 30, arbitrary: fc.constant<Change[]>([]) },
  { weight: 50, arbitrary: change.map((one) => [one]) },
  { weight: 20, arbitrary: fc.tuple(change, change) },
);

/** Requests of all operations of a document, as it allows them and as it does not. */
export function recipes({ operations }: ApiDocument): fc.Arbitrary<Recipe> {
  return fc.oneof(
    ...operations.map((operation) => ({
      weight: WEIGHT[operation.id] ?? USUAL_WEIGHT,
      arbitrary: recipe(operation),
    })),
  );
}

function recipe(operation: Operation): fc.Arbitrary<Recipe> {
  const params = operation.inPath.map(({ name, schema }) => [
    name,
    PARAMETER[`${operation.path} ${name}`] ?? valid(schema, name),
  ]);
  const query = operation.inQuery.map(({ name, schema }) => [name, valid(schema, name)]);
  const required = operation.inQuery.filter((parameter) => parameter.required).map(({ name }) => name);
  const { body } = operation;
  return fc.record({
    operation: fc.constant(operation),
    apt: fc.option(fc.nat(1_000), { freq: 4 }),
    params: fc.record(Object.fromEntries(params)),
    query: fc.record(Object.fromEntries(query), { requiredKeys: required }),
    body:
      body === null
        ? fc.constant(undefined)
        : body === 'bytes'
          ? fc.nat(100_000).map((nth) => new Ref('bytes', nth))
          : jsonBody(body),
    chunked: fc.nat(9).map((n) => n === 0),
    changes,
  });
}

function jsonBody({ schema, required }: { schema: Parameters<typeof valid>[0]; required: boolean }) {
  return required ? valid(schema) : fc.option(valid(schema), { nil: undefined });
}

const refTo = (kind: string) => fc.nat(1_000).map((nth) => new Ref(kind, nth));
const PARAMETER: Record<string, fc.Arbitrary<unknown>> = {
  '/v1/operations/sweeps/{id} id': refTo('sweep'),
  '/v1/operations/fixity/{id} id': refTo('fixity'),
  '/v1/packages/{id}/manifest id': refTo('finalized'),
  '/v1/packages/{id}/archive id': refTo('finalized'),
  '/v1/log/tile/{path} path': fc.constantFrom('0/000', 'entries/000', '0/000.p/1', '8/x001/x234/067', 'x'),
  '/v1/packages/{id}/files/{path} path': logicalPath,
};
