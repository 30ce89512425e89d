import type { PlanUploads } from '../../api/types.ts';
import { parseDigest } from '../../core/digest.ts';
import type { StoredForm } from '../../core/frame-table.ts';
import type { ObjectInput } from '../../usecases/object-plan.ts';

/** What a client says of the objects that it wants to upload. @throws StoreError invalid_digest */
export function objectInputs({ objects }: PlanUploads): ObjectInput[] {
  return objects.map(({ digest, size, parts, members, ...form }) => ({
    digest: parseDigest(digest),
    size,
    stored: storedForm(form),
    parts: parts?.map((part) => ({ ...part, digest: parseDigest(part.digest) })),
    members: members?.map((member) => ({ ...member, digest: parseDigest(member.digest) })),
  }));
}

/** The schema has seen that all of it is there, or nothing. */
function storedForm({ stored_size: size, stored_digest, frames }: FormFields): StoredForm | undefined {
  if (size === undefined || stored_digest === undefined || frames === undefined) return undefined;
  return { digest: parseDigest(stored_digest), size, frames: Buffer.from(frames, 'base64') };
}

interface FormFields {
  stored_size?: number | undefined;
  stored_digest?: string | undefined;
  frames?: string | undefined;
}
