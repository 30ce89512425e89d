import { hash } from 'node:crypto';

/** Bytes are no time stamp, or one of something else; the message says which, as the rest of a sentence. */
export class TimeStampError extends Error {
  override readonly name = 'TimeStampError';
}

/** Longer is no TimeStampResp: it has a chain of certificates, and little else; bytes. */
export const TIME_STAMP_MAX = 64 * 1024;
/** What a TimeStampResp is served as (RFC 3161, 3.4). */
export const TIME_STAMP_REPLY = 'application/timestamp-reply';

const BOOLEAN = 0x01;
const INTEGER = 0x02;
const OCTET_STRING = 0x04;
const OID = 0x06;
const GENERALIZED_TIME = 0x18;
const SEQUENCE = 0x30;
const SET = 0x31;
/** Constructed, context-specific, 0. */
const EXPLICIT_0 = 0xa0;

/** 2.16.840.1.101.3.4.2.1 */
const SHA256 = Buffer.from('608648016503040201', 'hex');
/** 1.2.840.113549.1.7.2 */
const SIGNED_DATA = Buffer.from('2a864886f70d010702', 'hex');
/** 1.2.840.113549.1.9.16.1.4 */
const TST_INFO = Buffer.from('2a864886f70d0109100104', 'hex');

/**
 * Asks for a stamp of the bytes, and for the certificate of the authority: the DER of a TimeStampReq (RFC 3161, 2.4.1).
 * @param nonce 8 random bytes: an answer with them was made for this question
 */
export function timeStampRequest(bytes: Uint8Array, nonce: Buffer): Buffer {
  const algorithm = tlv(SEQUENCE, tlv(OID, SHA256), Buffer.from([0x05, 0]));
  return tlv(
    SEQUENCE,
    tlv(INTEGER, Buffer.from([1])),
    tlv(SEQUENCE, algorithm, tlv(OCTET_STRING, hash('sha256', bytes, 'buffer'))),
    tlv(INTEGER, unsigned(nonce)),
    Buffer.from([BOOLEAN, 1, 0xff]),
  );
}

/**
 * When the stamp says that the bytes were there; ms. Says nothing about its signature: who verifies that has the certificate of
 * the authority, this has not. @param response DER of a TimeStampResp (RFC 3161, 2.4.2) @param nonce null: of any question
 * @throws TimeStampError when it is no granted stamp of these bytes
 */
export function readTimeStamp(response: Buffer, bytes: Uint8Array, nonce: Buffer | null): number {
  const whole = new Reader(response);
  const answer = new Reader(whole.next(SEQUENCE));
  whole.end();
  const status = new Reader(answer.next(SEQUENCE)).next(INTEGER);
  // PKIStatus: 0 granted, 1 granted with modifications.
  if (status.length !== 1 || (status[0] as number) > 1)
    throw new TimeStampError(`is a refusal, with status ${status.readInt8(0)}`);
  const content = new Reader(answer.next(SEQUENCE));
  answer.end();
  if (!content.next(OID).equals(SIGNED_DATA)) throw new TimeStampError('is not signed');
  const signed = new Reader(new Reader(content.next(EXPLICIT_0)).next(SEQUENCE));
  signed.next(INTEGER);
  signed.next(SET);
  const inside = new Reader(signed.next(SEQUENCE));
  if (!inside.next(OID).equals(TST_INFO)) throw new TimeStampError('holds no TSTInfo');
  const info = new Reader(new Reader(new Reader(inside.next(EXPLICIT_0)).next(OCTET_STRING)).next(SEQUENCE));
  info.next(INTEGER);
  info.next(OID);
  const stamped = new Reader(info.next(SEQUENCE));
  if (!new Reader(stamped.next(SEQUENCE)).next(OID).equals(SHA256)) throw new TimeStampError('stamps no SHA-256');
  if (!stamped.next(OCTET_STRING).equals(hash('sha256', bytes, 'buffer')))
    throw new TimeStampError('stamps other bytes');
  info.next(INTEGER);
  const time = parseTime(info.next(GENERALIZED_TIME).toString('latin1'));
  // Accuracy and ordering may stand before the nonce.
  if (info.tag === SEQUENCE) info.next(SEQUENCE);
  if (info.tag === BOOLEAN) info.next(BOOLEAN);
  const answers = info.tag === INTEGER ? info.next(INTEGER) : null;
  if (nonce !== null && !answers?.equals(unsigned(nonce))) throw new TimeStampError('answers another question');
  return time;
}

/** A GeneralizedTime of UTC, with fractions of a second or without (RFC 3161, 2.4.2). */
function parseTime(text: string): number {
  const time = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\.\d+)?Z$/.exec(text);
  const [, year, month, day, hour, minute, second, fraction = ''] = time ?? [];
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}${fraction.slice(0, 4)}Z`);
  if (Number.isNaN(ms)) throw new TimeStampError('has no time');
  return ms;
}

/** The values of one constructed value, in their order. Lengths are definite, and never beyond the bytes. */
class Reader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** Of the next value; undefined: there is none. */
  get tag(): number | undefined {
    return this.#bytes[this.#at];
  }

  /** The contents of the next value. @throws TimeStampError */
  next(tag: number): Buffer {
    if (this.tag !== tag) throw new TimeStampError(`is no RFC 3161 time stamp: tag ${this.tag} where ${tag} belongs`);
    let length = this.#bytes[this.#at + 1] ?? 0x80;
    let start = this.#at + 2;
    if (length >= 0x80) {
      const size = length - 0x80;
      if (size < 1 || size > 4 || start + size > this.#bytes.length)
        throw new TimeStampError('is no RFC 3161 time stamp: a length is wrong');
      length = this.#bytes.readUIntBE(start, size);
      start += size;
    }
    if (length > this.#bytes.length - start || (tag === INTEGER && length === 0))
      throw new TimeStampError('is no RFC 3161 time stamp: it is cut off');
    this.#at = start + length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** @throws TimeStampError when there is more */
  end(): void {
    if (this.tag !== undefined) throw new TimeStampError('is no RFC 3161 time stamp: something stands behind it');
  }
}

/** @param parts their sum has less than 128 bytes */
function tlv(tag: number, ...parts: Buffer[]): Buffer {
  const contents = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag, contents.length]), contents]);
}

/** The contents of an INTEGER that is not negative: as few bytes as can be, the first below 0x80. */
function unsigned(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const least = first === -1 ? Buffer.alloc(1) : bytes.subarray(first);
  return (least[0] as number) < 0x80 ? least : Buffer.concat([Buffer.alloc(1), least]);
}
