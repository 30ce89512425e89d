import type { JsonObject } from './canonical-json.ts';

/** The package as Statehub may know it: ids, digests and a summary; never bytes. */
export interface LinkFacts {
  package_id: string;
  name: string;
  producer: string;
  subject: string | null;
  external_id: string | null;
  status: string;
  manifest_digest: string | null;
  file_count: number;
  total_size: number;
  retention: { class: string; expires_at: string | null };
  metadata: JsonObject;
}

export interface LinkOptions {
  author?: string | undefined;
  workstream_id?: string | undefined;
  task_id?: string | undefined;
}

/** The body of Statehub's `POST /progress/`. */
export interface ProgressEvent {
  event_type: 'artifact_link';
  author: string;
  summary: string;
  workstream_id?: string;
  task_id?: string;
  detail: JsonObject;
}

/** The members of a run's metadata that a work record needs to say what happened, where they exist. */
const SUMMARY_FIELDS = [
  'run_id',
  'target_profile_ref',
  'assessment_profile_ref',
  'result_status',
  'source_commits',
  'evidence_counts',
  'finding_counts',
] as const;

/** @param apiUrl where the package is: `<public url>/v1/packages/<id>` */
export function progressEvent(facts: LinkFacts, apiUrl: string, options: LinkOptions = {}): ProgressEvent {
  const summary = Object.fromEntries(
    SUMMARY_FIELDS.filter((field) => facts.metadata[field] !== undefined).map((field) => [
      field,
      facts.metadata[field],
    ]),
  ) as JsonObject;
  const outcome = typeof facts.metadata.result_status === 'string' ? `, result ${facts.metadata.result_status}` : '';
  return {
    event_type: 'artifact_link',
    author: options.author ?? 'artifact-store',
    summary: `${facts.producer}: ${facts.name} preserved as ${facts.package_id} (${facts.file_count} files, ${facts.total_size} bytes${outcome})`,
    ...(options.workstream_id === undefined ? {} : { workstream_id: options.workstream_id }),
    ...(options.task_id === undefined ? {} : { task_id: options.task_id }),
    detail: {
      producer: facts.producer,
      subject: facts.subject,
      external_id: facts.external_id,
      artifact_store_api_url: apiUrl,
      package_id: facts.package_id,
      package_status: facts.status,
      manifest_digest: facts.manifest_digest,
      file_count: facts.file_count,
      total_size: facts.total_size,
      retention_class: facts.retention.class,
      expires_at: facts.retention.expires_at,
      ...summary,
    },
  };
}
