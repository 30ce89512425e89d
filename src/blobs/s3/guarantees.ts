/** What a backend may guarantee; the names stand in /readyz and `doctor`. */
export const GUARANTEES = [
  'part_urls_work',
  'part_digest_enforced',
  'part_length_enforced',
  'part_copy_refused',
  'part_url_ends_with_upload',
  'part_url_expires',
  'part_url_method_bound',
  'service_bytes_enforced',
  'checksum_header_honoured',
  'download_urls_work',
  'download_range_enforced',
  'download_forced_attachment',
  'anonymous_read_refused',
  'upload_key_write_only',
  'clocks_agree',
] as const;

export type Guarantee = (typeof GUARANTEES)[number];
