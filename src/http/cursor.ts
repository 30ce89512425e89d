import { createHmac, timingSafeEqual } from 'node:crypto';
import { StoreError } from '../core/errors.ts';

/** Makes positions in lists opaque and tamper-proof, so that they can change without breaking clients. */
export interface CursorCodec {
  encode(operationId: string, position: unknown): string;
  /** @throws StoreError invalid_cursor */
  decode(operationId: string, cursor: string): unknown;
}

const MAC_BYTES = 16;

export function cursorCodec(key: Uint8Array): CursorCodec {
  const mac = (operationId: string, payload: Buffer): Buffer =>
    createHmac('sha256', key).update(`cursor\n${operationId}\n`).update(payload).digest().subarray(0, MAC_BYTES);

  return {
    encode(operationId, position) {
      const payload = Buffer.from(JSON.stringify(position));
      return Buffer.concat([mac(operationId, payload), payload]).toString('base64url');
    },
    decode(operationId, cursor) {
      const bytes = Buffer.from(cursor, 'base64url');
      const payload = bytes.subarray(MAC_BYTES);
      // Buffer passes over what is no base64url, so that many texts would be one cursor.
      const exact = bytes.length > MAC_BYTES && bytes.toString('base64url') === cursor;
      if (exact && timingSafeEqual(bytes.subarray(0, MAC_BYTES), mac(operationId, payload))) {
        return JSON.parse(payload.toString());
      }
      throw new StoreError('invalid_cursor', 'The cursor does not belong to this list: start again without one.');
    },
  };
}
