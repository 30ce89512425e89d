import type { Package } from '../../src/api/types.ts';

export const PACKAGE_ID = `pkg_${'0'.repeat(12)}7${'0'.repeat(3)}8${'0'.repeat(15)}`;
const TIME = '2026-01-01T00:00:00.000Z';

/** A package as the service answers it. */
export function packageAnswer(about: Partial<Package> = {}): Package {
  return {
    id: PACKAGE_ID,
    name: 'fake',
    producer: 'tests',
    subject: null,
    external_id: null,
    status: 'uploading',
    metadata: {},
    file_count: 0,
    total_size: 0,
    deleted_file_count: 0,
    stored_size: null,
    manifest_digest: null,
    retention: { class: 'raw-evidence', expires_at: null, held: false, eligible: false },
    supersedes: null,
    superseded_by: null,
    reason: null,
    created_at: TIME,
    finalized_at: null,
    deleted_at: null,
    ...about,
  };
}
