import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Context } from 'koa';
import { koaBody } from 'koa-body';
import { StoreError } from '../core/errors.ts';
import { JsonMeter } from '../core/json-meter.ts';
import { parseJson } from '../core/parse-json.ts';
import { membersIn, repeatedName } from '../core/repeated-name.ts';
import type { Bounds, JsonBound } from './bounds.ts';
import type { JsonShare } from './json-shares.ts';
import { brokenOff, readBody } from './read-body.ts';
import { refuseCharset, refuseEncoding } from './validate.ts';

/** A JSON body, parsed. */
export interface JsonBody {
  /** Undefined: there was none. */
  value: unknown;
  /** Bytes. */
  size: number;
}

export const NO_BODY: JsonBody = { value: undefined, size: 0 };

/**
 * Reads a JSON body whole, byte by byte as it came: the usual decoder would turn invalid UTF-8 into U+FFFD silently,
 * and a path or metadata would be kept that nobody sent. A body over its limit is refused as soon as that shows, before
 * it is parsed.
 */
export function jsonReader(bound: JsonBound, bounds: Bounds): (ctx: Context, share: JsonShare) => Promise<JsonBody> {
  const koa = koaBody({
    json: false,
    urlencoded: false,
    multipart: false,
    text: true,
    textTypes: ['application/json', 'application/*+json'],
    // Latin-1: one character for each byte.
    encoding: 'binary',
    textLimit: bound.bytes,
    // A body that nobody reads would be taken as none.
    parsedMethods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE'] as never,
  });

  async function gather(ctx: Context, from: Context): Promise<Buffer> {
    await koa(from, async () => {});
    const bytes = Buffer.from(String(ctx.request.body ?? ''), 'latin1');
    ctx.request.body = undefined;
    return bytes;
  }

  /** A body that is in memory already. */
  async function gatherWhole(ctx: Context, share: JsonShare, meter: JsonMeter): Promise<Buffer> {
    const bytes = await gather(ctx, ctx).catch((cause: { status?: number }) => {
      throw cause.status === 413 ? tooLarge(bound) : brokenOff(cause);
    });
    share.take(bytes.length);
    assertBounded(meter.write(bytes));
    return bytes;
  }

  async function gatherSlowly(ctx: Context, share: JsonShare, meter: JsonMeter): Promise<Buffer> {
    const body = Readable.from(bounded(ctx, share, meter, bound, bounds), { objectMode: false });
    const stream = Object.assign(body, { headers: ctx.req.headers });
    try {
      return await gather(ctx, Object.create(ctx, { req: { value: stream } }));
    } finally {
      stream.destroy();
    }
  }

  return async (ctx, share) => {
    if (!hasBody(ctx)) return NO_BODY;
    if (!ctx.is('application/json', 'application/*+json')) {
      throw new StoreError(
        'unsupported_media_type',
        `Send the body with Content-Type: application/json, not ${ctx.get('content-type').slice(0, 100) || 'none'}.`,
      );
    }
    refuseEncoding(ctx);
    refuseCharset(ctx);
    if (Number(ctx.get('content-length')) > bound.bytes) throw tooLarge(bound);
    // Most bodies come in one packet with their headers and are complete after this turn.
    if (!ctx.req.complete) await nextTurn();
    const meter = new JsonMeter({ depth: bounds.jsonDepth, values: bound.values });
    const bytes = await (ctx.req.complete ? gatherWhole : gatherSlowly)(ctx, share, meter);
    return bytes.length === 0 ? NO_BODY : { value: parse(bytes, meter.members), size: bytes.length };
  };
}

async function* bounded(
  ctx: Context,
  share: JsonShare,
  meter: JsonMeter,
  bound: JsonBound,
  { bodyRate, jsonPatienceMs }: Bounds,
): AsyncGenerator<Buffer> {
  let size = 0;
  for await (const chunk of readBody(ctx, { bytesPerSecond: bodyRate, patienceMs: jsonPatienceMs })) {
    size += chunk.length;
    if (size > bound.bytes) throw tooLarge(bound);
    share.take(chunk.length);
    assertBounded(meter.write(chunk));
    yield chunk;
  }
}

/** @param problem what the meter found */
function assertBounded(problem: string | null): void {
  if (problem === null) return;
  throw new StoreError('invalid_request', `The body ${problem}: send less in one call.`, {
    errors: [{ field: 'body', message: problem }],
  });
}

/** @param members that its text has @throws StoreError invalid_json */
function parse(bytes: Buffer, members: number): unknown {
  if (!isUtf8(bytes)) throw new StoreError('invalid_json', 'The body is not valid UTF-8.');
  const text = bytes.toString('utf8');
  const value = parsed(text);
  if (membersIn(value) === members) return value;
  const field = (repeatedName(text) ?? '').slice(0, 100).toWellFormed();
  throw new StoreError(
    'invalid_json',
    `An object of the body has the name ${JSON.stringify(field)} twice: send it once.`,
    {
      errors: [{ field, message: 'appears more than once' }],
    },
  );
}

function parsed(text: string): unknown {
  try {
    return parseJson(text);
  } catch (error) {
    throw new StoreError('invalid_json', `The body is not JSON: ${(error as Error).message}.`);
  }
}

function tooLarge({ bytes }: JsonBound): StoreError {
  return new StoreError(
    'body_too_large',
    `The JSON body of this call has at most ${bytes} bytes: send less at once (see GET /v1/limits).`,
  );
}

function hasBody(ctx: Context): boolean {
  return ctx.get('transfer-encoding') !== '' || Number(ctx.get('content-length') || 0) > 0;
}
