import { type Digest, digestOf } from '../../src/core/digest.ts';
import { layoutPack, MEMBER_HEADER_SIZE, type PackMember, writeMemberHeader } from '../../src/core/pack.ts';

export interface TestPack {
  bytes: Buffer;
  digest: Digest;
  size: number;
  members: PackMember[];
}

/** The pack of these blobs, in this order. */
export function packOf(contents: ReadonlyArray<string | Uint8Array>): TestPack {
  const blobs = contents.map((content) => Buffer.from(content as Uint8Array));
  const { members, size } = layoutPack(blobs.map((bytes) => ({ digest: digestOf(bytes), size: bytes.length })));
  const bytes = Buffer.alloc(size);
  for (const [index, { digest, offset, size: length }] of members.entries()) {
    writeMemberHeader(bytes, offset - MEMBER_HEADER_SIZE, digest, length);
    blobs[index]?.copy(bytes, offset);
  }
  return { bytes, digest: digestOf(bytes), size, members };
}
