import type { JsonObject } from './canonical-json.ts';

/** An event as CloudEvents 1.0 has it (https://github.com/cloudevents/spec). */
export interface CloudEvent {
  id: string;
  /** URI reference: which log of audit events it is from. */
  source: string;
  type: string;
  /** The package. */
  subject: string | null;
  /** RFC 3339, UTC. */
  time: string;
  data: JsonObject;
}

/** Before the audit's action, and what is sent for a test. */
export const EVENT_TYPE_PREFIX = 'artifact-store.';

/** What is sent over HTTP. */
export interface HttpMessage {
  headers: Record<string, string>;
  body: Buffer;
}

/** Structured mode: all of it is the body (HTTP protocol binding, 3.2). */
export function structured({ data, subject, ...event }: CloudEvent): HttpMessage {
  const attributes = { specversion: '1.0', ...event, ...(subject === null ? {} : { subject }) };
  const body = Buffer.from(JSON.stringify({ ...attributes, datacontenttype: 'application/json', data }));
  return { headers: { 'content-type': 'application/cloudevents+json; charset=utf-8' }, body };
}

/** Binary mode: the data is the body, for whoever knows nothing of CloudEvents (3.1). */
export function binary({ data, subject, ...event }: CloudEvent): HttpMessage {
  const attributes = { specversion: '1.0', ...event, ...(subject === null ? {} : { subject }) };
  const headers = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [`ce-${name}`, encoded(value)]));
  return { headers: { 'content-type': 'application/json', ...headers }, body: Buffer.from(JSON.stringify(data)) };
}

/** What is not printable ASCII, `"` and `%`, percent-encoded (3.1.3.2). */
function encoded(value: string): string {
  return value.replace(/[^\x21\x23\x24\x26-\x7e]+/gu, (text) =>
    [...Buffer.from(text)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
