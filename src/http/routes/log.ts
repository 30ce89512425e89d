import * as schema from '../../api/log.ts';
import * as asked from '../../api/log-requests.ts';
import { TIME_STAMP_REPLY } from '../../core/time-stamp.ts';
import { proveConsistency, proveEvent } from '../../usecases/prove-event.ts';
import { logCheckpoint, logState, logTimeStamp, readLogTile } from '../../usecases/read-log.ts';
import { iso } from '../present.ts';
import { type Route, route } from '../route.ts';

const TEXT = { 'content-type': 'text/plain; charset=utf-8' };

export const logRoutes: Route[] = [
  route({
    method: 'get',
    path: '/v1/log',
    operationId: 'getLog',
    summary: "The audit's transparency log: its name, its key, its newest checkpoint",
    tag: 'Proof',
    answers: { 200: schema.LogState },
    async handle(services) {
      const { checkpoint, stamped, ...state } = await logState(services);
      const made = checkpoint && { size: checkpoint.size, at: iso(checkpoint.at) };
      const stamp = stamped && { size: stamped.size, at: iso(stamped.stamped_at as number) };
      return { status: 200, body: { ...state, checkpoint: made, time_stamp: stamp } };
    },
  }),

  route({
    method: 'get',
    path: '/v1/log/checkpoint',
    operationId: 'getLogCheckpoint',
    summary:
      'A signed checkpoint of every event so far, or the one that was made of `size` entries (C2SP tlog-checkpoint)',
    tag: 'Proof',
    query: asked.CheckpointQuery,
    answers: { 200: 'the signed note' },
    async handle(services, { query }) {
      return { status: 200, body: await logCheckpoint(services, query.size), headers: TEXT };
    },
  }),

  route({
    method: 'get',
    path: '/v1/log/timestamp',
    operationId: 'getLogTimestamp',
    summary: 'The time stamp of the checkpoint of `size` entries, by an authority (RFC 3161 TimeStampResp)',
    tag: 'Proof',
    query: asked.StampQuery,
    answers: { 200: 'the time stamp' },
    async handle(services, { query }) {
      const body = await logTimeStamp(services, query.size);
      return { status: 200, body, headers: { 'content-type': TIME_STAMP_REPLY } };
    },
  }),

  route({
    method: 'get',
    path: '/v1/log/proof',
    operationId: 'getLogProof',
    summary: 'Proof that an audit event is in the log, with the event and a signed checkpoint (C2SP tlog-proof)',
    tag: 'Proof',
    query: asked.ProofQuery,
    answers: { 200: 'the proof' },
    async handle(services, { query, caller }) {
      return { status: 200, body: (await proveEvent(services, caller, query.event)).text, headers: TEXT };
    },
  }),

  route({
    method: 'get',
    path: '/v1/log/consistency',
    operationId: 'getLogConsistency',
    summary: 'Proof that the log of `to` entries begins with the one of `from` entries',
    tag: 'Proof',
    query: asked.ConsistencyQuery,
    answers: { 200: schema.Consistency },
    async handle(services, { query }) {
      const { hashes, ...sizes } = await proveConsistency(services, query.from, query.to);
      return { status: 200, body: { ...sizes, hashes: hashes.map((hash) => hash.toString('base64')) } };
    },
  }),

  route({
    method: 'get',
    path: '/v1/log/tile/{path}',
    operationId: 'getLogTile',
    summary: 'A tile of the log, or the entries of one (C2SP tlog-tiles), as storage has it',
    tag: 'Proof',
    answers: { 200: 'the tile' },
    async handle(services, { params, caller }) {
      const body = await readLogTile(services, caller, `tile/${params.path}`);
      return { status: 200, body, headers: { 'content-type': 'application/octet-stream' } };
    },
  }),
];
