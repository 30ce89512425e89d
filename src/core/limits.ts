import { FILE_RULES_MAX } from './file-rules.ts';
import { PATH_MAX_BYTES, SEGMENT_MAX_BYTES } from './logical-path.ts';
import { METADATA_MAX_BYTES, METADATA_MAX_VALUES } from './metadata.ts';
import { SECRET_PLACES_MAX } from './secret-record.ts';
import { FRAMES_MAX } from './zstd-frame.ts';

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** What a client must know to plan its work; `GET /v1/limits` shows it as it is. Sizes are bytes. */
export interface Limits {
  /** Largest object that may be sent as one part. */
  single_part_max: number;
  /** Part size of larger objects; grows so that max_parts suffice, of the largest beyond single_part_max. */
  part_size: number;
  /** Smallest part but the last (S3: 5 MiB). */
  min_part_size: number;
  max_parts: number;
  object_size_max: number;
  /** Largest blob that goes into a pack. */
  pack_member_max: number;
  /** Most members of one pack: they are recorded in one transaction. */
  pack_members_max: number;
  /** About how large a pack should be. */
  pack_target: number;
  files_per_call: number;
  objects_per_call: number;
  /** Parts of all objects of one call together. */
  parts_per_call: number;
  /** Members of all packs of one call together. */
  members_per_call: number;
  /** Frames of all objects of one call together. */
  frames_per_call: number;
  /** Largest JSON body of any call; most calls take less (docs/api.md). */
  json_body_max: number;
  metadata_max: number;
  metadata_values_max: number;
  /** File rules of a package, with those of its class. */
  file_rules_max: number;
  /** Places of secrets that are recorded with a package. */
  secret_places_max: number;
  path_max: number;
  segment_max: number;
  page_max: number;
  /** Seconds that a signed URL is good for. */
  url_lifetime: number;
  /** Seconds that a share is good for at the most. */
  share_lifetime_max: number;
  /** Seconds after which an upload that was not committed ends. */
  upload_lifetime: number;
}

export const DEFAULT_LIMITS: Readonly<Limits> = {
  single_part_max: 256 * MIB,
  part_size: 64 * MIB,
  min_part_size: 5 * MIB,
  max_parts: 10_000,
  object_size_max: 5 * 1024 * GIB,
  pack_member_max: MIB,
  pack_members_max: 2_000,
  pack_target: 16 * MIB,
  files_per_call: 1_000,
  objects_per_call: 1_000,
  parts_per_call: 10_000,
  members_per_call: 8_000,
  frames_per_call: FRAMES_MAX,
  json_body_max: 5 * MIB,
  metadata_max: METADATA_MAX_BYTES,
  metadata_values_max: METADATA_MAX_VALUES,
  file_rules_max: FILE_RULES_MAX,
  secret_places_max: SECRET_PLACES_MAX,
  path_max: PATH_MAX_BYTES,
  segment_max: SEGMENT_MAX_BYTES,
  page_max: 1_000,
  url_lifetime: 3_600,
  share_lifetime_max: 90 * 86_400,
  upload_lifetime: 7 * 86_400,
};
